"""The bus of a single process: every lock's session is right here."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from server.bus.base import Deliver
from server.domain.commands import OpenCommand
from server.domain.errors import LockOffline

_MOST_UNREAD_CHANGES = 16
"""A command takes five steps at most, so a watcher that falls this far behind is gone."""


class LocalChanges:
    """The changes of one command, for one watcher."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[OpenCommand] = asyncio.Queue(_MOST_UNREAD_CHANGES)

    def add(self, command: OpenCommand) -> None:
        """Keep a change for the watcher; where it does not keep up, the oldest goes."""
        if self._unread.full():
            self._unread.get_nowait()
        self._unread.put_nowait(command)

    async def wait(self, timeout_s: float) -> OpenCommand | None:
        """The next change that was not returned yet; None where none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._unread.get()
        except TimeoutError:
            return None


class LocalBus:
    """Hands commands and changes over within one process; see ``server.bus.base.Bus``."""

    def __init__(self) -> None:
        self._serving: dict[int, Deliver] = {}
        self._watching: defaultdict[str, set[LocalChanges]] = defaultdict(set)

    async def serve_lock(self, lock_id: int, deliver: Deliver) -> None:
        """Take the lock's commands from now on, instead of whoever took them before."""
        self._serving[lock_id] = deliver

    async def release_lock(self, lock_id: int, deliver: Deliver) -> None:
        """Take no more of the lock's commands, unless another session took over already."""
        if self._serving.get(lock_id) == deliver:
            del self._serving[lock_id]

    async def request_open(self, command: OpenCommand) -> OpenCommand:
        """Have the lock's session deliver a command.

        Raises:
            LockOffline: the lock has no session here.
        """
        deliver = self._serving.get(command.lock_id)
        if deliver is None:
            raise LockOffline
        return await deliver(command)

    def announce(self, command: OpenCommand) -> None:
        """Tell whoever watches the command how it now stands."""
        for changes in self._watching.get(command.id, ()):
            changes.add(command)

    @contextmanager
    def watch(self, command_id: str) -> Iterator[LocalChanges]:
        """Listen to one command's changes, from the moment the context is entered."""
        changes = LocalChanges()
        self._watching[command_id].add(changes)
        try:
            yield changes
        finally:
            self._watching[command_id].discard(changes)
            if not self._watching[command_id]:
                del self._watching[command_id]
