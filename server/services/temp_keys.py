"""Issuing temp keys, showing them, and taking them back."""

from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from msgspec import Struct

from server import clock
from server.domain import temp_key_changes
from server.domain.commands import RefusalReason, command_of
from server.domain.errors import (
    ChangedMeanwhile,
    InvalidInput,
    LockNotFound,
    TempKeyNotFound,
)
from server.domain.events import RecordedEvent
from server.domain.explain import Explanation, explain
from server.domain.links import Linked, LinkView
from server.domain.organizations import Guest, Operator, Scope
from server.domain.pages import EVERYTHING, Page
from server.domain.refusals import KeyRevoked
from server.domain.schedule import check_days
from server.domain.secrets import new_uuid
from server.domain.temp_key_changes import TempKeyUpdate, check_somebody_may_use, updated_key
from server.domain.temp_keys import Door, NewTempKey, TempKey, check_guest, check_window
from server.services.outcomes import Outcomes
from server.services.pins import Pins
from server.storage.event_store import EventStore
from server.storage.link_store import LinkStore
from server.storage.lock_store import LockStore
from server.storage.temp_key_store import TempKeyStore

_TRIES = 5


class Change(Struct, frozen=True, kw_only=True):
    """A key as it is after a change, and the events of that: none where nothing changed."""

    key: TempKey
    events: list[RecordedEvent]


class TempKeys:
    """The life of temp keys, but for opening with them."""

    def __init__(
        self,
        keys: TempKeyStore,
        links: LinkStore,
        locks: LockStore,
        events: EventStore,
        outcomes: Outcomes,
        pins: Pins,
    ) -> None:
        self._keys = keys
        self._links = links
        self._locks = locks
        self._events = events
        self._outcomes = outcomes
        self._pins = pins

    async def create(
        self, operator: Operator, wanted: NewTempKey, key_uuid: str | None = None
    ) -> Change:
        """Issue a key for one or more doors; its uuid is random unless the caller names one.

        Raises:
            AlreadyExists: there is a key with this uuid.
            InvalidInput: no key may have this window, or nobody could use it.
            LockNotFound: the caller has no such lock.
            PinsOff, NoFreePin: a door opens by PIN, and there is none.
        """
        now = clock.now()
        check_window(wanted.valid_from, wanted.valid_until, now)
        check_days(wanted.schedule)
        check_somebody_may_use(wanted.access_mode, wanted.allowed_user_ids)
        lock_ids = [int(door.lock_id) for door in wanted.doors]
        locks = await self._locks.find_all(lock_ids, operator.scope)
        if any(lock_id not in locks for lock_id in lock_ids):
            raise LockNotFound
        org_id, *others = {lock.org_id for lock in locks.values()}
        if others:
            raise InvalidInput("doors", "the locks of one key belong to one organisation")
        key = TempKey(
            uuid=key_uuid or new_uuid(),
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
            schedule=wanted.schedule,
        )
        # First, because a PIN without its key opens nothing, and is free again in the end.
        await self._pins.mint(key)
        events = await self._events.record(
            temp_key_changes.created(key), now, partial(self._keys.insert, key)
        )
        return Change(key=key, events=events)

    async def organization_of(self, key_uuid: str) -> str:
        """The id of the organisation that issued a key.

        Raises:
            TempKeyNotFound: there is none.
        """
        return (await self._keys.find(key_uuid)).org_id

    async def show_to_guest(self, key_uuid: str, guest: Guest) -> LinkView:
        """A key in whatever state, for whoever holds its link.

        Raises:
            TempKeyNotFound, OrganizationNotFound: there is none, or nobody who issued it.
            GuestNotAllowed: it is a personal key of somebody else.
        """
        view = await self._links.view(key_uuid)
        check_guest(view.key, guest)
        return view

    async def show_to_operator(self, operator: Operator, key_uuid: str) -> Linked:
        """A key that the caller manages, with the locks of its doors.

        Raises:
            TempKeyNotFound: it is not, or there is none.
        """
        key = await self.find(operator, key_uuid)
        lock_ids = {door.lock_id for door in key.doors}
        return Linked(key=key, locks=await self._locks.find_all(lock_ids, Scope(org_id=key.org_id)))

    async def list_of(
        self, operator: Operator, lock_id: int | None = None, page: Page = EVERYTHING
    ) -> list[TempKey]:
        """The caller's keys, newest first; all that touch a lock where ``lock_id`` is given.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        if lock_id is not None:
            lock = await self._locks.find(lock_id, operator.scope)
            return await self._keys.list_of_lock(lock.id, lock.org_id, page)
        if operator.org_id is not None:
            return await self._keys.list_of_organization(operator.org_id, page)
        return await self._keys.list_made_by(operator.name, page)

    async def revoke(self, operator: Operator, key_uuid: str) -> Change:
        """Revoke a key for all its doors.

        What is under way with it is withdrawn: when this returns, nothing is sent for
        the key any more.

        Raises:
            TempKeyNotFound: the caller has no such key.
        """
        key = await self.find(operator, key_uuid)
        now = clock.now()
        events = temp_key_changes.deleted(key, operator.name, now)
        revoke = partial(self._keys.revoke, key.uuid, key.org_id, now)
        try:
            recorded = await self._events.record(events, now, revoke)
        except ChangedMeanwhile:
            return Change(key=key, events=[])
        await self._pins.free(key.uuid)
        # What was claimed before the revocation; after it there can be no new claim.
        for claim in (await self._keys.find(key.uuid)).claims:
            await self._outcomes.withdraw(command_of(key, claim), RefusalReason.REVOKED)
        return Change(key=key, events=recorded)

    async def explain(
        self, operator: Operator, key_uuid: str, door_id: int | None, at: datetime | None
    ) -> Explanation:
        """Why a key opens a door (its first one) at an instant (now), or does not.

        Raises:
            TempKeyNotFound: the caller has no such key.
            DoorNotFound: the key has no such door.
        """
        key = await self.find(operator, key_uuid)
        door = key.doors[0] if door_id is None else key.door(door_id)
        lock = await self._locks.find(door.lock_id, Scope(org_id=key.org_id))
        return explain(key, door, ZoneInfo(lock.time_zone), None, at or clock.now())

    async def update(self, operator: Operator, key_uuid: str, update: TempKeyUpdate) -> Change:
        """Change a key.

        Raises:
            TempKeyNotFound: the caller has no such key.
            InvalidInput, DoorNotFound: no key may be like that.
            KeyRevoked: it is revoked, and stays as it was.
            ChangedMeanwhile: others change it at the same time, again and again.
            PinsOff, NoFreePin: it was over and needs another PIN, and there is none.
        """
        if isinstance(update.schedule, list):
            check_days(update.schedule)
        for attempts_left in reversed(range(_TRIES)):
            before = await self.find(operator, key_uuid)
            if before.revoked_at is not None:
                raise KeyRevoked
            now = clock.now()
            after = updated_key(before, update, now)
            events = temp_key_changes.updated(before, after, operator.name, now)
            if not events:
                return Change(key=before, events=[])
            if after.valid_until > before.valid_until:
                await self._pins.keep(after)
            change = partial(self._keys.update, before, after)
            try:
                recorded = await self._events.record(events, now, change)
            except ChangedMeanwhile:
                if not attempts_left:
                    raise
            else:
                return Change(key=after, events=recorded)
        raise AssertionError("unreachable: the last try raises or returns")

    async def find(self, operator: Operator, key_uuid: str) -> TempKey:
        """A key that the caller manages: of its organisation, or for its own locks only.

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
