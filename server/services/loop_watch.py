"""Whether this node's event loop turns: a timer that notes how late it runs."""

import asyncio
import time
from collections import deque
from typing import Never

from server.services.metrics import Metrics

_EVERY_S = 0.25
_LOOKS_BACK = 20
_STALL_S = 2.0


class LoopWatch:
    """Runs four times a second, and remembers its last five seconds.

    Whoever stands still answers nobody, so a stall is told when it is just over, too: a loop
    that stands still again and again is not well between two of its stalls.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._late_by_s = deque([0.0], _LOOKS_BACK)
        self._due_at = float("inf")

    async def run_forever(self) -> Never:
        """Watch: run as a task of the node."""
        while True:
            self._due_at = time.monotonic() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            late_by_s = max(0.0, time.monotonic() - self._due_at)
            self._late_by_s.append(late_by_s)
            self._metrics.loop_was_late(late_by_s)

    @property
    def worst_s(self) -> float:
        """How late the loop was at worst in the last seconds, or is at this moment."""
        return max(*self._late_by_s, time.monotonic() - self._due_at)

    @property
    def is_stalled(self) -> bool:
        """Whether the loop stands still, or has within the last seconds."""
        return self.worst_s >= _STALL_S
