"""A tap becomes an open command, once, and only while its guest still stands at the door."""

from datetime import timedelta

from msgspec import structs

from server import clock
from server.bus.base import Bus
from server.domain.commands import OpenCommand, command_id, command_of, new_attempt
from server.domain.errors import CommandNotFound, LockOffline
from server.domain.organizations import Guest
from server.domain.temp_keys import Claim, check_door_opens_by_tap, check_guest, check_key
from server.services.outcomes import Outcomes
from server.storage.command_store import CommandStore
from server.storage.temp_key_store import TempKeyStore

_ANSWER_WITHIN_S = 0.5
"""How long a guest's request waits for the lock before the confirmation page takes over."""


class Opening:
    """Opening doors for guests."""

    def __init__(
        self,
        keys: TempKeyStore,
        commands: CommandStore,
        outcomes: Outcomes,
        bus: Bus,
        command_life: timedelta,
    ) -> None:
        self._keys = keys
        self._commands = commands
        self._outcomes = outcomes
        self._bus = bus
        self._command_life = command_life

    async def open(
        self, key_uuid: str, door_id: int | None, guest: Guest, attempt: str | None
    ) -> OpenCommand:
        """Open a door of a key: the one numbered ``door_id``, or its first.

        The same ``attempt`` always means the same command; without one, two taps
        within three seconds do.

        Returns:
            The command as it stands when the lock has answered, or half a second later.

        Raises:
            TempKeyNotFound, DoorNotFound: there is no such key or door.
            KeyRefused, GuestNotAllowed, DoorNeedsCode: this key may not open it now.
            StorageUnavailable: MongoDB is away; if a use was taken, it is given back later.
        """
        key = await self._keys.find(key_uuid)
        door = key.first_door_to_slide() if door_id is None else key.door(door_id)
        now = clock.now()
        check_guest(key, guest)
        check_door_opens_by_tap(door)
        wanted = Claim(
            command_id=command_id(key.uuid, door.id, attempt or new_attempt()),
            door_id=door.id,
            lock_id=door.lock_id,
            at=now,
            expires_at=now + self._command_life,
            marked=bool(attempt),
        )
        earlier = await self._earlier(wanted.command_id)
        if earlier is not None:
            return earlier
        check_key(key, now)
        claim = await self._keys.claim_use(key.uuid, wanted)
        command = command_of(key, claim)
        if claim is wanted:
            await self._deliver(command)
        return await self._answer(command)

    async def _earlier(self, command_id: str) -> OpenCommand | None:
        try:
            return await self._commands.find(command_id)
        except CommandNotFound:
            return None

    async def _deliver(self, command: OpenCommand) -> None:
        try:
            await self._bus.request_open(command)
        except LockOffline:
            offline = structs.replace(command, offline=True)
            await self._commands.insert(offline)
            await self._deliver_after_all(offline)

    async def _deliver_after_all(self, command: OpenCommand) -> None:
        """Try once more: the lock may have connected just before the command was stored."""
        try:
            await self._bus.request_open(command)
        except LockOffline:
            return

    async def _answer(self, command: OpenCommand) -> OpenCommand:
        try:
            stored = await self._commands.find(command.id)
        except CommandNotFound:
            return command  # another request of the same tap is just making it
        if stored.offline:
            return stored
        return await self._outcomes.wait_until_final(stored, _ANSWER_WITHIN_S)
