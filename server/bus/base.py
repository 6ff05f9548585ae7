"""What a bus between server nodes does."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Protocol

from server.domain.commands import OpenCommand

Deliver = Callable[[OpenCommand], Awaitable[OpenCommand]]
"""Takes a command to the lock's session; returns the command as it then stands."""


class Changes(Protocol):
    """The changes of one command, as they are announced."""

    async def wait(self, timeout_s: float) -> OpenCommand | None:
        """The next change that was not returned yet; None where none came in time."""
        ...


class Bus(Protocol):
    """How an open command finds the node that holds the lock, and how news of it comes back."""

    async def serve_lock(self, lock_id: int, deliver: Deliver) -> None:
        """Take the lock's commands from now on, instead of whoever took them here before."""
        ...

    async def release_lock(self, lock_id: int, deliver: Deliver) -> None:
        """Take no more of the lock's commands, unless another session took over already."""
        ...

    async def request_open(self, command: OpenCommand) -> OpenCommand:
        """Have the lock's node deliver a command.

        Raises:
            LockOffline: no node serves the lock.
            StorageUnavailable: the node that does could not record the command; nothing was sent.
        """
        ...

    def announce(self, command: OpenCommand) -> None:
        """Tell whoever watches the command how it now stands."""
        ...

    def watch(self, command_id: str) -> AbstractContextManager[Changes]:
        """Listen to one command's changes, from the moment the context is entered."""
        ...
