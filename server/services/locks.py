"""An organisation's locks, and what became of the commands to them."""

from collections.abc import Iterable
from datetime import datetime

from server.domain.commands import OpenCommand
from server.domain.errors import CommandNotFound, LockNotFound
from server.domain.locks import Lock
from server.domain.organizations import Operator
from server.storage.command_store import CommandStore
from server.storage.lock_store import LockStore


def _is_number(text: str) -> bool:
    digits = text.removeprefix("#")
    return digits.isascii() and digits.isdecimal() and len(digits) <= 15


class Locks:
    """What an operator may see of the fleet."""

    def __init__(self, locks: LockStore, commands: CommandStore) -> None:
        self._locks = locks
        self._commands = commands

    async def list_of(self, operator: Operator, after: int = 0, limit: int = 0) -> list[Lock]:
        """The locks that the caller may reach, by id; all of them, without a limit."""
        return await self._locks.list_of(operator.scope, after, limit)

    async def find(self, operator: Operator, lock_id: int) -> Lock:
        """One lock.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        return await self._locks.find(lock_id, operator.scope)

    async def find_all(self, operator: Operator, lock_ids: Iterable[int]) -> dict[int, Lock]:
        """Those of these locks that the caller may reach, by id."""
        return await self._locks.find_all(set(lock_ids), operator.scope)

    async def find_said(self, operator: Operator, said: Iterable[str]) -> dict[str, Lock]:
        """Locks by what somebody called them: a number (``12``, ``#12``) or an exact name.

        What is nobody's name, or several locks' name, is left out.
        """
        texts = set(said)
        numbers = {text: int(text.lstrip("#")) for text in texts if _is_number(text)}
        by_id = await self.find_all(operator, numbers.values())
        found = {text: by_id[number] for text, number in numbers.items() if number in by_id}
        named = await self._locks.find_named(texts - found.keys(), operator.scope)
        names = [lock.name for lock in named]
        return found | {lock.name: lock for lock in named if names.count(lock.name) == 1}

    async def command(self, operator: Operator, command_id: str) -> OpenCommand:
        """What became of an open command.

        Raises:
            CommandNotFound: the caller has no such command.
        """
        command = await self._commands.find(command_id)
        try:
            await self._locks.find(command.lock_id, operator.scope)
        except LockNotFound as error:
            raise CommandNotFound from error
        return command

    async def commands_of(
        self,
        operator: Operator,
        lock_id: int,
        limit: int,
        before: tuple[datetime, str] | None = None,
    ) -> list[OpenCommand]:
        """The newest commands to a lock, newest first.

        ``before`` are the time and the id of the last one that the caller has already.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        lock = await self._locks.find(lock_id, operator.scope)
        return await self._commands.list_of_lock(lock_id, lock.org_id, limit, before)
