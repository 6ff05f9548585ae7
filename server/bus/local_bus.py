"""The bus of a single process: every lock's session is right here."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from server.bus.base import CommandNews, HeldLock, LookAt, Record
from server.domain.commands import OpenCommand
from server.domain.errors import LockOffline
from server.domain.locks import StoredKey
from server.domain.protocol import KeyAction

_MOST_UNREAD_CHANGES = 16
"""A command takes five steps at most, so a watcher that falls this far behind is gone."""


class LocalChanges:
    """The changes of one command, for one watcher."""

    def __init__(self) -> None:
        self._unread: asyncio.Queue[CommandNews] = asyncio.Queue(_MOST_UNREAD_CHANGES)

    def add(self, news: CommandNews) -> None:
        """Keep a change for the watcher; where it does not keep up, the oldest goes."""
        if self._unread.full():
            self._unread.get_nowait()
        self._unread.put_nowait(news)

    async def wait(self, timeout_s: float) -> CommandNews | None:
        """The next change that was not returned yet; None where none came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._unread.get()
        except TimeoutError:
            return None


class LocalBus:
    """Hands requests and news over within one process; see ``server.bus.base.Bus``."""

    def __init__(self) -> None:
        self._serving: dict[int, HeldLock] = {}
        self._watching: defaultdict[str, set[LocalChanges]] = defaultdict(set)
        self._looking: list[LookAt] = []

    def held(self, lock_id: int) -> HeldLock:
        """The lock's session on this node.

        Raises:
            LockOffline: it has none here.
        """
        held = self._serving.get(lock_id)
        if held is None:
            raise LockOffline
        return held

    def serves(self, lock_id: int) -> bool:
        """Whether the lock has a session on this node."""
        return lock_id in self._serving

    async def serve_lock(self, lock_id: int, held: HeldLock) -> None:
        """Take the lock's requests from now on, instead of whoever took them before."""
        self._serving[lock_id] = held

    async def release_lock(self, lock_id: int, held: HeldLock) -> None:
        """Take no more of the lock's requests, unless another session took over already."""
        if self._serving.get(lock_id) is held:
            del self._serving[lock_id]

    async def request_open(self, command: OpenCommand, record: Record) -> None:
        """Have the lock's session take a command to it, and record it in the same write.

        Raises:
            LockOffline: the lock has no session here.
            StorageUnavailable: the command could not be recorded; nothing was sent.
        """
        await self.held(command.lock_id).open(command)

    async def request_key(self, lock_id: int, action: KeyAction, key: StoredKey) -> None:
        """Have the lock's session tell it of a physical key.

        Raises:
            LockOffline: the lock has no session here.
            LockTakesNoKeys, ChannelClosed: it cannot be told.
        """
        self.held(lock_id).send_key(action, key)

    def announce(self, news: CommandNews) -> None:
        """Tell whoever watches the command that it has come to a state."""
        for changes in self._watching.get(news.command_id, ()):
            changes.add(news)

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

    def lock_changed(self, lock_id: int) -> None:
        """Have this node look how a lock stands."""
        for look_at in self._looking:
            look_at(lock_id)

    def lock_taken(self, lock_id: int) -> None:
        """Nothing: there is no other node."""

    def on_lock_changed(self, look_at: LookAt) -> None:
        """Call ``look_at`` with each lock that is said to have changed."""
        self._looking.append(look_at)
