"""An organisation's locks, and what became of the commands to them."""

from server.domain.commands import OpenCommand
from server.domain.errors import CommandNotFound
from server.domain.locks import Lock
from server.domain.organizations import Operator
from server.storage.command_store import CommandStore
from server.storage.lock_store import LockStore


class Locks:
    """What an operator may see of the fleet."""

    def __init__(self, locks: LockStore, commands: CommandStore) -> None:
        self._locks = locks
        self._commands = commands

    async def list_of(self, operator: Operator) -> list[Lock]:
        """Every lock of the organisation, by id."""
        return await self._locks.list_of(operator.org_id)

    async def find(self, operator: Operator, lock_id: int) -> Lock:
        """One lock.

        Raises:
            LockNotFound: the organisation has no such lock.
        """
        return await self._locks.find(lock_id, operator.org_id)

    async def command(self, operator: Operator, command_id: str) -> OpenCommand:
        """What became of an open command.

        Raises:
            CommandNotFound: the organisation has no such command.
        """
        command = await self._commands.find(command_id)
        if command.org_id != operator.org_id:
            raise CommandNotFound
        return command

    async def commands_of(self, operator: Operator, lock_id: int, limit: int) -> list[OpenCommand]:
        """The newest commands to a lock, newest first.

        Raises:
            LockNotFound: the organisation has no such lock.
        """
        await self._locks.find(lock_id, operator.org_id)
        return await self._commands.list_of_lock(lock_id, operator.org_id, limit)
