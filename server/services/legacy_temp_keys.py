"""Temp keys under one lock: the API's older commands (HTTP contract, Part 1 section 1)."""

from datetime import datetime

from server import clock
from server.domain.errors import AlreadyExists, InvalidInput, TempKeyNotFound
from server.domain.events import Done, EventData, RecordedEvent, TempKeyUsed
from server.domain.organizations import Guest, Operator
from server.domain.pages import Page
from server.domain.temp_key_changes import LegacyTempKeyUpdate, NewLegacyTempKey
from server.domain.temp_keys import NewDoor, NewTempKey, TempKey, check_guest
from server.domain.times import wire_time
from server.services.temp_keys import TempKeys
from server.storage.event_store import EventStore
from server.storage.lock_store import LockStore
from server.storage.mongo import Transaction
from server.storage.temp_key_store import TempKeyStore


class LegacyTempKeys:
    """The same keys as ``TempKeys`` manages, one lock at a time."""

    def __init__(
        self, temp_keys: TempKeys, keys: TempKeyStore, locks: LockStore, events: EventStore
    ) -> None:
        self._temp_keys = temp_keys
        self._keys = keys
        self._locks = locks
        self._events = events

    async def create(self, operator: Operator, lock_id: int, wanted: NewLegacyTempKey) -> Done:
        """Issue a key of one lock.

        Raises:
            InvalidInput: the uuid is taken, or no key may be like that.
            LockNotFound: the caller has no such lock.
        """
        key = NewTempKey(
            valid_from=wanted.valid_from,
            valid_until=wanted.valid_until,
            doors=[NewDoor(lock_id=lock_id)],
            description=wanted.description,
            access_mode=wanted.access_mode,
            allowed_user_ids=wanted.allowed_user_ids,
            max_uses=wanted.max_uses,
        )
        try:
            issued = await self._temp_keys.create(operator, key, wanted.temp_key_uuid)
        except AlreadyExists as error:
            raise InvalidInput("tempKeyUuid", "is taken") from error
        return await self._done(operator, lock_id, issued.events)

    async def update(self, operator: Operator, lock_id: int, wanted: LegacyTempKeyUpdate) -> Done:
        """Change a key of this lock.

        Raises:
            LockNotFound, TempKeyNotFound: the caller has no such lock, or the lock no such key.
            InvalidInput: no key may be like that.
            KeyRevoked: it was deleted.
        """
        key = await self._find(operator, lock_id, wanted.temp_key_uuid)
        changed = await self._temp_keys.update(operator, key.uuid, wanted.update)
        return await self._done(operator, lock_id, changed.events)

    async def delete(self, operator: Operator, lock_id: int, key_uuid: str) -> Done:
        """Revoke a key of this lock.

        Raises:
            LockNotFound, TempKeyNotFound: the caller has no such lock, or the lock no such key.
        """
        key = await self._find(operator, lock_id, key_uuid)
        revoked = await self._temp_keys.revoke(operator, key.uuid)
        return await self._done(operator, lock_id, revoked.events)

    async def use(
        self, operator: Operator, lock_id: int, key_uuid: str, user_id: str | None
    ) -> Done:
        """Count a use of a key with which another system opened the lock.

        Raises:
            LockNotFound, TempKeyNotFound: the caller has no such lock, or the lock no such key.
            KeyRefused, GuestNotAllowed: the key may not be used now, or not by this user.
        """
        key = await self._find(operator, lock_id, key_uuid)
        check_guest(key, Guest(user_id=user_id))
        now = clock.now()

        async def take_use(transaction: Transaction) -> list[EventData]:
            used = await self._keys.take_use(key.uuid, key.org_id, now, transaction)
            return [_used(used, lock_id, user_id, now)]

        return await self._done(operator, lock_id, await self._events.record_outcome(take_use, now))

    async def list_of_lock(self, operator: Operator, lock_id: int, page: Page) -> list[TempKey]:
        """The keys of a lock that are not revoked, newest first.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        lock = await self._locks.find(lock_id, operator.scope)
        return await self._keys.list_unrevoked_of_lock(lock.id, lock.org_id, page)

    async def _find(self, operator: Operator, lock_id: int, key_uuid: str) -> TempKey:
        await self._locks.find(lock_id, operator.scope)
        key = await self._temp_keys.find(operator, key_uuid)
        if all(door.lock_id != lock_id for door in key.doors):
            raise TempKeyNotFound
        return key

    async def _done(self, operator: Operator, lock_id: int, events: list[RecordedEvent]) -> Done:
        for event in events:
            if event.lock_id == lock_id:
                return Done(version=event.version, event=event)
        return Done(version=(await self._locks.find(lock_id, operator.scope)).version)


def _used(key: TempKey, lock_id: int, user_id: str | None, now: datetime) -> TempKeyUsed:
    return TempKeyUsed(
        lock_id=lock_id,
        timestamp=wire_time(now),
        temp_key_uuid=key.uuid,
        lock_uuid=next(door.lock_uuid for door in key.doors if door.lock_id == lock_id),
        user_id=user_id,
        used_count=key.used_count,
    )
