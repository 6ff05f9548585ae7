"""Issuing temp keys, showing them, and taking them back."""

from collections.abc import Mapping

from msgspec import Struct

from server import clock
from server.domain.commands import RefusalReason, command_of
from server.domain.errors import InvalidInput, LockNotFound, TempKeyNotFound
from server.domain.locks import Lock
from server.domain.organizations import Guest, Operator, Scope
from server.domain.secrets import new_uuid
from server.domain.temp_keys import AccessMode, Door, NewTempKey, TempKey, check_guest, check_window
from server.services.outcomes import Outcomes
from server.storage.lock_store import LockStore
from server.storage.temp_key_store import TempKeyStore


class KeyAndLocks(Struct, frozen=True, kw_only=True):
    """A temp key, with the locks of its doors by id."""

    key: TempKey
    locks: Mapping[int, Lock]


class TempKeys:
    """The life of temp keys, but for opening with them."""

    def __init__(self, keys: TempKeyStore, locks: LockStore, outcomes: Outcomes) -> None:
        self._keys = keys
        self._locks = locks
        self._outcomes = outcomes

    async def create(self, operator: Operator, wanted: NewTempKey) -> TempKey:
        """Issue a key for one or more doors.

        Raises:
            InvalidInput: no key may have this window, or nobody could use it.
            LockNotFound: the caller has no such lock.
        """
        now = clock.now()
        check_window(wanted.valid_from, wanted.valid_until, now)
        if wanted.access_mode is AccessMode.USER_WHITELIST and not wanted.allowed_user_ids:
            raise InvalidInput("allowedUserIds", "a personal key must name somebody")
        lock_ids = [int(door.lock_id) for door in wanted.doors]
        locks = await self._locks.find_all(lock_ids, operator.scope)
        if any(lock_id not in locks for lock_id in lock_ids):
            raise LockNotFound
        org_id, *others = {lock.org_id for lock in locks.values()}
        if others:
            raise InvalidInput("doors", "the locks of one key belong to one organisation")
        key = TempKey(
            uuid=new_uuid(),
            org_id=org_id,
            created_by=operator.name,
            created_at=now,
            valid_from=clock.to_millisecond(wanted.valid_from),
            valid_until=clock.to_millisecond(wanted.valid_until),
            doors=[
                Door(
                    id=number,
                    lock_id=int(door.lock_id),
                    lock_uuid=locks[int(door.lock_id)].uuid,
                    label=door.label,
                    access_method=door.access_method,
                )
                for number, door in enumerate(wanted.doors, start=1)
            ],
            description=wanted.description,
            access_mode=wanted.access_mode,
            allowed_user_ids=wanted.allowed_user_ids,
            max_uses=wanted.max_uses,
        )
        await self._keys.insert(key)
        return key

    async def show_to_guest(self, key_uuid: str, guest: Guest) -> KeyAndLocks:
        """A key in whatever state, for whoever holds its link.

        Raises:
            TempKeyNotFound: there is none.
            GuestNotAllowed: it is a personal key of somebody else.
        """
        key = await self._keys.find(key_uuid)
        check_guest(key, guest)
        lock_ids = {door.lock_id for door in key.doors}
        return KeyAndLocks(
            key=key, locks=await self._locks.find_all(lock_ids, Scope(org_id=key.org_id))
        )

    async def list_of(self, operator: Operator, lock_id: int | None) -> list[TempKey]:
        """The caller's keys, newest first; all that touch a lock where ``lock_id`` is given.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        if lock_id is not None:
            lock = await self._locks.find(lock_id, operator.scope)
            return await self._keys.list_of_lock(lock.id, lock.org_id)
        if operator.org_id is not None:
            return await self._keys.list_of_organization(operator.org_id)
        return await self._keys.list_made_by(operator.name)

    async def revoke(self, operator: Operator, key_uuid: str) -> bool:
        """Revoke a key for all its doors.

        What is under way with it is withdrawn: when this returns, nothing is sent for
        the key any more.

        Returns:
            False where it was revoked before.

        Raises:
            TempKeyNotFound: the caller has no such key.
        """
        key = await self._managed(operator, key_uuid)
        before = await self._keys.revoke(key.uuid, key.org_id, clock.now())
        for claim in before.claims:
            await self._outcomes.withdraw(command_of(before, claim), RefusalReason.REVOKED)
        return before.revoked_at is None

    async def _managed(self, operator: Operator, key_uuid: str) -> TempKey:
        """A key that the caller may change: of its organisation, or for its own locks only.

        Raises:
            TempKeyNotFound: it is not, or there is none.
        """
        key = await self._keys.find(key_uuid)
        if operator.is_super or operator.org_id == key.org_id:
            return key
        lock_ids = {door.lock_id for door in key.doors}
        if len(await self._locks.find_all(lock_ids, operator.scope)) < len(lock_ids):
            raise TempKeyNotFound
        return key
