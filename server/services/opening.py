"""A tap becomes an open command, once, and only while its guest still stands at the door."""

import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct
from structlog.contextvars import bind_contextvars

from server import clock, tracing
from server.bus.base import Bus
from server.domain.commands import (
    PAGE_GOOD_FOR,
    OpenCommand,
    command_id,
    command_of,
    new_attempt,
)
from server.domain.errors import CommandNotFound, LockNotFound
from server.domain.links import Linked
from server.domain.locks import Lock
from server.domain.organizations import Guest
from server.domain.refusals import (
    DoorNeedsCode,
    GuestNotAllowed,
    SecondTapNeeded,
    TapTooLate,
)
from server.domain.temp_keys import (
    Claim,
    Door,
    TempKey,
    check_door_opens_by_tap,
    check_guest,
    check_key,
    check_schedule,
    claim_for_same_tap,
)
from server.services.delivery import Delivery
from server.services.metrics import Metrics
from server.services.outcomes import Outcomes
from server.storage.command_store import CommandStore
from server.storage.link_store import LinkStore
from server.storage.temp_key_store import TempKeyStore

_ANSWER_WITHIN_S = 0.5
"""How long a guest's request waits for the lock before the confirmation page takes over."""

_RECORDED_WITHIN_S = 1.0
"""How long another request of the same tap may take to record its command."""


class TakenUse(Struct, frozen=True, kw_only=True):
    """A use of a key, and the command it was taken for.

    It is not ``is_new`` where another request of the same tap took it and sees to the command.
    """

    command: OpenCommand
    is_new: bool


class Opening:
    """Opening doors for guests."""

    def __init__(
        self,
        keys: TempKeyStore,
        links: LinkStore,
        commands: CommandStore,
        outcomes: Outcomes,
        delivery: Delivery,
        bus: Bus,
        command_life: timedelta,
        metrics: Metrics,
    ) -> None:
        self._keys = keys
        self._links = links
        self._commands = commands
        self._outcomes = outcomes
        self._delivery = delivery
        self._bus = bus
        self._command_life = command_life
        self._metrics = metrics

    async def open(
        self,
        key_uuid: str,
        door_id: int | None,
        guest: Guest,
        attempt: str | None,
        *,
        is_confirmed: bool,
        tapped_at: datetime | None = None,
        shown_at: datetime | None = None,
    ) -> OpenCommand:
        """Open a door of a key: the one numbered ``door_id``, or its first.

        The same ``attempt`` always means the same command; without one, two taps
        within three seconds do. ``is_confirmed`` is whether the guest was asked again, as
        some locks want. ``tapped_at`` is when the guest tapped, where their browser knows
        it: the command's life counts from then, however long the request was on its way. Where
        it does not, ``shown_at`` is when the page was made that was tapped: a tap may have been
        on its way for as long as that is ago.

        Returns:
            The command as it stands when the lock has answered, or half a second later.

        Raises:
            TempKeyNotFound, DoorNotFound, LockNotFound: there is no such key, door or lock.
            KeyRefused, GuestNotAllowed, DoorNeedsCode: this key may not open it now.
            TapTooLate: the command's life was over before the tap got here; nothing was taken.
            SecondTapNeeded: the lock wants its guest to be asked first, or the tap may be an old
                one; nothing was taken.
            LockUnreachable: the node that may hold the lock cannot be asked; the use is given
                back, and nothing is sent.
            StorageUnavailable: MongoDB is away; if a use was taken, it is given back later.
        """
        linked = await self._links.find(key_uuid)
        key = linked.key
        try:
            door = key.first_door_to_slide() if door_id is None else key.door(door_id)
            check_guest(key, guest)
            check_door_opens_by_tap(door)
        except (GuestNotAllowed, DoorNeedsCode):
            check_key(key, clock.now())  # what is wrong with the key itself is told first
            raise
        if attempt:
            earlier = await self._earlier(command_id(key.uuid, door.id, attempt))
            if earlier is not None:
                bind_contextvars(command=earlier.id)
                return earlier
        if tapped_at is None and shown_at is not None and clock.now() >= shown_at + PAGE_GOOD_FOR:
            raise SecondTapNeeded(door.id)
        lock = _lock_of(linked, door)
        if lock.open_confirmation and not is_confirmed:
            raise SecondTapNeeded(door.id)
        zone = ZoneInfo(lock.time_zone)
        taken = await self.take_use(key, door, zone, attempt, guest.user_id, tapped_at)
        if taken.is_new:
            await self._delivery.deliver(taken.command)
        return await self._answer(taken.command)

    async def take_use(
        self,
        key: TempKey,
        door: Door,
        zone: ZoneInfo,
        attempt: str | None = None,
        user_id: str | None = None,
        tapped_at: datetime | None = None,
    ) -> TakenUse:
        """Take a use of a key for its door in that zone, unless this tap has one already.

        Raises:
            TapTooLate: ``tapped_at`` is a command's life ago.
            KeyRefused: the key may not be used now.
        """
        now = clock.now()
        wanted = Claim(
            command_id=command_id(key.uuid, door.id, attempt or new_attempt()),
            door_id=door.id,
            lock_id=door.lock_id,
            at=now,
            expires_at=min(now, tapped_at or now) + self._command_life,
            marked=bool(attempt),
            user_id=user_id,
        )
        earlier = claim_for_same_tap(key, door.id, wanted.command_id, now, wanted.marked)
        if earlier is not None:
            return _taken(command_of(key, earlier), is_new=False)
        if wanted.expires_at <= now:
            raise TapTooLate
        check_key(key, now)
        check_schedule(key, zone, now)
        began = time.monotonic()
        with tracing.asking("claim a use", "mongodb", command=wanted.command_id, lock=door.lock_id):
            claimed = await self._keys.claim_use(key.uuid, wanted)
        self._metrics.use_claimed(time.monotonic() - began)
        return _taken(
            command_of(key, claimed.claim, claimed.use_number, tracing.carried()),
            is_new=claimed.use_number is not None,
        )

    async def open_now_or_never(self, taken: TakenUse, within_s: float) -> OpenCommand:
        """Have the lock open; where it is offline, nothing is sent to it when it comes back.

        Returns:
            The command when its outcome is final, or as it stands ``within_s`` seconds later.
            It is refused as ``lock_offline``, and its use given back, where the lock was.

        Raises:
            LockUnreachable: the node that may hold the lock cannot be asked; the use is given
                back, and nothing is sent.
            StorageUnavailable: MongoDB is away; the use is given back later.
        """
        if taken.is_new:
            await self._delivery.deliver_now_or_never(taken.command)
        return await self._outcomes.wait_until_final(await self._recorded(taken), within_s)

    async def _earlier(self, command_id: str) -> OpenCommand | None:
        try:
            return await self._commands.find(command_id)
        except CommandNotFound:
            return None

    async def _recorded(self, taken: TakenUse) -> OpenCommand:
        """The command as it is recorded, which another request may be doing just now."""
        with self._bus.watch(taken.command.id) as changes:
            found = await self._earlier(taken.command.id)
            if found is None and await changes.wait(_RECORDED_WITHIN_S) is not None:
                found = await self._earlier(taken.command.id)
            return found or taken.command

    async def _answer(self, command: OpenCommand) -> OpenCommand:
        try:
            return await self._outcomes.wait_until_told(command, _ANSWER_WITHIN_S)
        except CommandNotFound:
            return command  # another request of the same tap is just making it


def _lock_of(linked: Linked, door: Door) -> Lock:
    try:
        return linked.lock_of(door)
    except LockNotFound:
        check_key(linked.key, clock.now())  # what is wrong with the key itself is told first
        raise


def _taken(command: OpenCommand, *, is_new: bool) -> TakenUse:
    bind_contextvars(command=command.id)  # for the log line of the request that took it
    return TakenUse(command=command, is_new=is_new)
