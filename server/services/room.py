"""A bounded number of places, for things of different sizes."""

import asyncio
from collections import deque


class Room:
    """Whoever wants places when too few are free waits: first come, first served."""

    def __init__(self, places: int) -> None:
        self._places = self._free = places
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()

    @property
    def taken(self) -> int:
        """How many places are not free."""
        return self._places - self._free

    async def take(self, places: int) -> None:
        """Take some places (never more than there are); waits until they are free."""
        if not self._waiting and places <= self._free:
            self._free -= places
            return
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((granted, places))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._free += places
            self._admit()
            raise

    def give_back(self, places: int) -> None:
        """Give places back, to whoever has waited longest."""
        self._free += places
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            granted, places = self._waiting[0]
            if not granted.done():
                if places > self._free:
                    return
                self._free -= places
                granted.set_result(None)
            self._waiting.popleft()
