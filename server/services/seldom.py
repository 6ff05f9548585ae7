"""What takes a look at every lock to find out: asked of MongoDB now and then."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from server.domain.errors import StorageUnavailable

_AGAIN_AFTER_S = 30.0
_WITHIN_S = 1.0

FoundT = TypeVar("FoundT")


class Seldom(Generic[FoundT]):
    """Looks at most twice a minute, however often it is asked."""

    def __init__(self, look: Callable[[], Awaitable[FoundT]]) -> None:
        self._look = look
        self._known: FoundT | None = None
        self._look_at = float("-inf")

    async def known(self) -> FoundT | None:
        """What was found half a minute ago at most, or later where MongoDB did not answer since.

        None where it was never known.
        """
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _AGAIN_AFTER_S
            try:
                async with asyncio.timeout(_WITHIN_S):
                    self._known = await self._look()
            except (StorageUnavailable, TimeoutError):
                pass  # what was known before is better than nothing
        return self._known
