"""Changing locks: each command is applied to the lock as it is, together with its events."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TypeVar
from weakref import WeakValueDictionary
from zoneinfo import available_timezones

from msgspec import UNSET, structs

from server import clock
from server.bus.base import Bus
from server.domain import lock_changes
from server.domain.errors import (
    ChangedMeanwhile,
    ChannelClosed,
    Forbidden,
    InvalidInput,
    LockNotFound,
    LockOffline,
    LockTakesNoKeys,
    LockUnreachable,
    OrganizationNotFound,
)
from server.domain.events import Done
from server.domain.lock_changes import Change
from server.domain.lock_requests import (
    AddKey,
    AddResident,
    BulkAddKeys,
    ChangeLockUuid,
    CreateLock,
    LockUpdate,
    RemoveKey,
    RemoveResident,
    SetOrganization,
    SetOwner,
    WriteKey,
)
from server.domain.locks import Lock, StoredKey
from server.domain.organizations import Operator
from server.domain.protocol import KeyAction
from server.storage.event_store import EventStore
from server.storage.lock_state_store import LockStateStore
from server.storage.lock_store import LockStore
from server.storage.organization_store import OrganizationStore

_TRIES = 20
"""Commands on one node take turns, so only those of other nodes make one try again."""
_TRY_AGAIN_AFTER_S = 0.005

RequestT = TypeVar("RequestT")
Rule = Callable[[RequestT, Lock, datetime], Change]


class LockCommands:
    """The one place that changes a lock because somebody asks for it.

    Every command raises ``LockNotFound`` where the caller has no such lock,
    ``StorageUnavailable`` where MongoDB is away, and ``ChangedMeanwhile`` where others
    changed the lock at the same time, again and again.
    """

    def __init__(
        self,
        locks: LockStore,
        states: LockStateStore,
        organizations: OrganizationStore,
        events: EventStore,
        bus: Bus,
    ) -> None:
        self._locks = locks
        self._states = states
        self._organizations = organizations
        self._events = events
        self._bus = bus
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def create(self, operator: Operator, wanted: CreateLock) -> Done:
        """Add a lock to the caller's organisation; one that is there already stays as it is.

        Raises:
            Forbidden: the caller is an owner, or names another organisation.
            InvalidInput: the super key names no organisation, or a key is there twice.
            OrganizationNotFound: there is no such organisation.
            AlreadyExists: the id or the uuid is somebody else's.
        """
        org_id = await self._organization_for(operator, wanted)
        try:
            lock = await self._locks.find(wanted.index, operator.scope)
        except LockNotFound:
            now = clock.now()
            change = lock_changes.create_lock(wanted, org_id, now)
            insert = partial(self._locks.insert, change.lock)
            recorded = await self._events.record(change.events, now, insert)
            return Done(version=recorded[-1].version, event=recorded[-1])
        return Done(version=lock.version)

    # Physical keys

    async def add_key(self, operator: Operator, lock_id: int, wanted: AddKey) -> Done:
        """Let the lock know a key; it is told where it is connected and takes keys."""
        return await self.add_keys(operator, lock_id, BulkAddKeys(keys=[wanted]))

    async def add_keys(self, operator: Operator, lock_id: int, wanted: BulkAddKeys) -> Done:
        """Let the lock know several keys, all or none."""
        before, after, done = await self._apply(operator, lock_id, lock_changes.add_keys, wanted)
        added = [key for key in after.keys if key not in before.keys]
        await self._tell_if_possible(lock_id, KeyAction.WRITE, added)
        return done

    async def remove_key(self, operator: Operator, lock_id: int, wanted: RemoveKey) -> Done:
        """Let the lock forget a key.

        Raises:
            InvalidInput: it is not said which.
        """
        before, after, done = await self._apply(operator, lock_id, lock_changes.remove_key, wanted)
        removed = [key for key in before.keys if key not in after.keys]
        await self._tell_if_possible(lock_id, KeyAction.REMOVE, removed)
        return done

    async def write_key(self, operator: Operator, lock_id: int, wanted: WriteKey) -> Done:
        """Have a key written to the lock's hardware. That it was asked for is told in any case.

        Raises:
            LockOffline, ChannelClosed: the lock is not connected.
            LockUnreachable: it may be, on a node that cannot be asked.
            LockTakesNoKeys: it does not understand this.
        """
        _, _, done = await self._apply(operator, lock_id, lock_changes.write_key, wanted)
        key = StoredKey(uuid=wanted.key_uuid, index_number=wanted.key_index_number)
        await self._bus.request_key(lock_id, KeyAction.WRITE, key)
        return done

    async def _tell_if_possible(
        self, lock_id: int, action: KeyAction, keys: list[StoredKey]
    ) -> None:
        try:
            for key in keys:
                await self._bus.request_key(lock_id, action, key)
        except (LockOffline, LockUnreachable, ChannelClosed, LockTakesNoKeys):
            return  # whoever needs certainty asks with WriteKey

    # People

    async def add_resident(
        self, operator: Operator, lock_id: int, wanted: AddResident
    ) -> tuple[Done, str | None]:
        """Note down who lives behind the lock; with the email address that is known of them.

        Raises:
            InvalidInput: it is not said who.
        """
        _, after, done = await self._apply(operator, lock_id, lock_changes.add_resident, wanted)
        found = lock_changes.resident_in(after, wanted.email, wanted.phone_number, wanted.user_id)
        return done, None if found is None else found.email

    async def remove_resident(
        self, operator: Operator, lock_id: int, wanted: RemoveResident
    ) -> tuple[Done, str | None]:
        """Note down who lives there no longer; with the email address that was known of them.

        Raises:
            InvalidInput: it is not said who.
        """
        before, _, done = await self._apply(operator, lock_id, lock_changes.remove_resident, wanted)
        found = lock_changes.resident_in(before, wanted.email, wanted.phone_number, wanted.user_id)
        return done, wanted.email if found is None else found.email

    # Whose the lock is, and what it is called

    async def set_owner(self, operator: Operator, lock_id: int, wanted: SetOwner) -> Done:
        """Give the lock to an owner."""
        return (await self._apply(operator, lock_id, lock_changes.set_owner, wanted))[2]

    async def set_organization(
        self, operator: Operator, lock_id: int, wanted: SetOrganization
    ) -> Done:
        """Give the lock to an organisation. What others issued for it opens it no longer.

        Raises:
            OrganizationNotFound: there is no such organisation.
        """
        await self._locks.find(lock_id, operator.scope)
        await self._known_organization(wanted.org_id)
        done = (await self._apply(operator, lock_id, lock_changes.set_organization, wanted))[2]
        self._bus.lock_changed(lock_id)
        return done

    async def change_uuid(self, operator: Operator, lock_id: int, wanted: ChangeLockUuid) -> Done:
        """Give the lock another UUID, in its keys too.

        Raises:
            Forbidden: the caller is not the super key.
            AlreadyExists: it has that UUID, or another lock has it.
        """
        await self._locks.find(lock_id, operator.scope)
        if not operator.is_super:
            raise Forbidden("Only the super key changes a lock's UUID")
        done = (await self._apply(operator, lock_id, lock_changes.change_uuid, wanted))[2]
        self._bus.lock_changed(lock_id)
        return done

    async def update(self, operator: Operator, lock_id: int, update: LockUpdate) -> Lock:
        """Change settings of the lock, which its connection follows at once but for the heartbeat.

        Raises:
            InvalidInput: the time zone is not an IANA name.
        """
        before = await self._locks.find(lock_id, operator.scope)
        if update.time_zone is not UNSET and update.time_zone not in available_timezones():
            raise InvalidInput("timeZone", f"{update.time_zone!r} is not an IANA time zone")
        after = lock_changes.updated_lock(before, update)
        saved = await self._states.save_settings(before, after)
        self._bus.lock_changed(lock_id)
        return saved

    async def _apply(
        self, operator: Operator, lock_id: int, rule: "Rule[RequestT]", wanted: RequestT
    ) -> tuple[Lock, Lock, Done]:
        """The lock before the command, the lock after it, and what the command came to."""
        turn = self._turns.setdefault(lock_id, asyncio.Lock())
        async with turn:
            for tries_left in reversed(range(_TRIES)):
                before = await self._locks.find(lock_id, operator.scope)
                now = clock.now()
                change = rule(wanted, before, now)
                if not change.events:
                    return before, before, Done(version=before.version)
                save = partial(self._states.save, before, change.lock)
                try:
                    recorded = await self._events.record(change.events, now, save)
                except ChangedMeanwhile:
                    if not tries_left:
                        raise
                    await asyncio.sleep(_TRY_AGAIN_AFTER_S)
                else:
                    last = recorded[-1]
                    after = structs.replace(change.lock, version=last.version)
                    return before, after, Done(version=last.version, event=last)
        raise AssertionError("unreachable: the last try raises or returns")

    async def _organization_for(self, operator: Operator, wanted: CreateLock) -> str:
        if operator.org_id is not None:
            if wanted.org_id not in (None, operator.org_id):
                raise Forbidden("A lock is added to one's own organisation")
            return operator.org_id
        if not operator.is_super:
            raise Forbidden("Only an organisation adds locks")
        if wanted.org_id is None:
            raise InvalidInput("orgId", "the super key says whose lock it is")
        await self._known_organization(wanted.org_id)
        return wanted.org_id

    async def _known_organization(self, org_id: str) -> None:
        if await self._organizations.find(org_id) is None:
            raise OrganizationNotFound
