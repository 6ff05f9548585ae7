"""Taking a command to its lock, on whichever node that is connected."""

from contextlib import suppress

from server.bus.base import Bus
from server.domain.commands import OpenCommand
from server.domain.errors import LockOffline, LockUnreachable
from server.services.outcomes import Outcomes
from server.storage.command_store import CommandStore


class Delivery:
    """Has locks open, and knows in the end of each command whether it may still be sent."""

    def __init__(self, commands: CommandStore, outcomes: Outcomes, bus: Bus) -> None:
        self._commands = commands
        self._outcomes = outcomes
        self._bus = bus

    async def deliver(self, command: OpenCommand) -> None:
        """Have the lock open; where it is offline, the command waits for it while it lives.

        Raises:
            LockUnreachable: the node that may hold the lock cannot be asked. The command is
                refused: nothing is sent, and a use that it took is given back.
            StorageUnavailable: MongoDB is away.
        """
        try:
            await self._request(command)
        except LockOffline:
            await self._commands.insert_offline(command)
            # The lock may have connected just before the command was stored.
            with suppress(LockOffline):
                await self._request(command)

    async def deliver_now_or_never(self, command: OpenCommand) -> None:
        """Have the lock open; where it is offline, nothing is sent to it when it comes back.

        The command is then refused as ``lock_offline``, and a use that it took given back.

        Raises:
            LockUnreachable, StorageUnavailable: as ``deliver``.
        """
        try:
            await self._request(command)
        except LockOffline as error:
            await self._commands.insert_offline(command)
            await self._outcomes.withdraw(command, error.reason)

    async def _request(self, command: OpenCommand) -> None:
        """Ask for the lock.

        Where no answer comes, the store says what is true: the command is refused there,
        unless a session has it in hand. Then what becomes of it is told like any other.
        """
        try:
            await self._bus.request_open(command, self._commands.insert)
        except LockUnreachable as error:
            if await self._outcomes.refuse_unsent(command, error.reason):
                raise
