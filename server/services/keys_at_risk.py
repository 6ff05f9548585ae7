"""How many guests who come soon would find a door in trouble: counted now and then."""

import asyncio
import time

from server.domain.errors import StorageUnavailable
from server.domain.organizations import EVERYBODYS
from server.services.arrivals import Arrivals

_AGAIN_AFTER_S = 30.0
_WITHIN_S = 1.0


class KeysAtRisk:
    """Counts at most twice a minute, however often it is asked: it reads every lock."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._known: int | None = None
        self._count_at = float("-inf")

    async def count(self) -> int | None:
        """The keys of everybody that begin within three days on a lock in trouble; 500 at most.

        None where it was never known.
        """
        if time.monotonic() >= self._count_at:
            self._count_at = time.monotonic() + _AGAIN_AFTER_S
            try:
                async with asyncio.timeout(_WITHIN_S):
                    self._known = len(await self._arrivals.at_risk(EVERYBODYS))
            except (StorageUnavailable, TimeoutError):
                pass  # what was known before is better than nothing
        return self._known
