"""What a bus between server nodes does.

A bus carries hints, and MongoDB has the truth: what travels names a command or a lock, and
whoever hears it looks in the store. So a message that is lost, late, doubled or forged may
cost a moment, and never opens a door.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

from msgspec import Struct

from server.domain.commands import CommandState, OpenCommand
from server.domain.locks import StoredKey
from server.domain.protocol import KeyAction

Record = Callable[[OpenCommand], Awaitable[object]]
"""Stores a command; one that is stored already is left as it is."""

LookAt = Callable[[int], None]
"""Has this node look in the store how a lock stands."""


class CommandNews(Struct, frozen=True, kw_only=True, rename="camel"):
    """A command has come to a state."""

    command_id: str
    state: CommandState


class Changes(Protocol):
    """The changes of one command, as they are announced."""

    async def wait(self, timeout_s: float) -> CommandNews | None:
        """The next change that was not returned yet; None where none came in time."""
        ...


class HeldLock(Protocol):
    """A lock's session on this node, as far as the bus knows it.

    Its methods raise ``LockOffline`` where another session has taken the lock since.
    """

    async def open(self, command: OpenCommand) -> OpenCommand:
        """Take a command to the lock; returns it as it then stands."""
        ...

    async def open_stored(self, command_id: str) -> None:
        """Take a command to the lock that another node has stored."""
        ...

    def send_key(self, action: KeyAction, key: StoredKey) -> None:
        """Tell the lock of a physical key."""
        ...


class Bus(Protocol):
    """How requests find the node that holds a lock, and how news gets around."""

    async def serve_lock(self, lock_id: int, held: HeldLock) -> None:
        """Take the lock's requests from now on, instead of whoever took them on this node."""
        ...

    async def release_lock(self, lock_id: int, held: HeldLock) -> None:
        """Take no more of the lock's requests, unless another session took over already."""
        ...

    async def request_open(self, command: OpenCommand, record: Record) -> None:
        """Have the lock's session take a command to it.

        Only the id of a command travels, so ``record`` is called before one leaves this node.

        Raises:
            LockOffline: no node serves the lock; nothing was sent.
            LockUnreachable: whether one does, and what it did, is not known here. The store
                tells: nothing is sent to the lock that nobody has taken in hand there.
            StorageUnavailable: the command could not be recorded; nothing was sent.
        """
        ...

    async def request_key(self, lock_id: int, action: KeyAction, key: StoredKey) -> None:
        """Have the lock's session tell it of a physical key.

        Raises:
            LockOffline: no node serves the lock.
            LockTakesNoKeys: it has not said that it understands this.
            ChannelClosed: its connection is just ending.
            LockUnreachable: whether one does is not known here.
        """
        ...

    def announce(self, news: CommandNews) -> None:
        """Tell whoever watches the command, on any node, that it has come to a state."""
        ...

    def watch(self, command_id: str) -> AbstractContextManager[Changes]:
        """Listen to one command's changes, from the moment the context is entered."""
        ...

    def lock_changed(self, lock_id: int) -> None:
        """Have every node look how a lock stands: its settings, its credential, its session."""
        ...

    def lock_taken(self, lock_id: int) -> None:
        """Have every other node look how a lock stands, which a session here has just taken."""
        ...

    def on_lock_changed(self, look_at: LookAt) -> None:
        """Call ``look_at`` with each lock that any node says has changed."""
        ...
