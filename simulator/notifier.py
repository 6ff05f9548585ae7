"""Waiting until something has become true, without polling."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

FoundT = TypeVar("FoundT")


class Notifier:
    """Wakes everybody who waits, whenever something may have changed."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Something changed: let all who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Return at the next ``notify``."""
        await self._changed.wait()

    async def until(self, look: Callable[[], FoundT | None], timeout_s: float) -> FoundT:
        """Look at once and after each change; return what was found, once it is true.

        Raises:
            TimeoutError: there was nothing within ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s):
            while not (found := look()):
                await self.change()
            return found
