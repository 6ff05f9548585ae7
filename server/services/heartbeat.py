"""The heartbeat of one connection: it is pinged, and cut when it has been silent for too long."""

import asyncio
import secrets
from collections.abc import Callable, Generator
from contextlib import contextmanager

from server.domain.locks import LivenessPolicy

_random = secrets.SystemRandom()

_STALL_S = 0.5
"""A timer this late means that our own event loop stood still: frames may be waiting unread."""


class Heartbeat:
    """Watches one connection by the event loop's monotonic clock.

    ``ping`` is called every ``heartbeat_s`` or a little sooner; ``cut`` once, when nothing has been
    heard for the time that the policy allows. Both must return at once.
    """

    def __init__(
        self, policy: LivenessPolicy, ping: Callable[[], None], cut: Callable[[], None]
    ) -> None:
        self._policy = policy
        self._ping = ping
        self._cut = cut
        self._loop = asyncio.get_running_loop()
        self._reads = True
        self._heard_at = self._loop.time()
        self._ping_at = policy.ping_at(self._heard_at)
        self._timer = self._loop.call_at(self._next_look(), self._look)

    @property
    def silent_for_s(self) -> float:
        """For how many seconds nothing has been heard."""
        return self._loop.time() - self._heard_at

    def heard(self) -> None:
        """Note a sign of life."""
        self._heard_at = self._loop.time()

    @contextmanager
    def deaf(self) -> Generator[None]:
        """Count no silence meanwhile: we read nothing, so whatever the lock says is not heard.

        It is still pinged, because it listens. Its silence begins anew at the end.
        """
        self._reads = False
        try:
            yield
        finally:
            self._reads = True
            self.heard()

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.cancel()

    def _next_look(self) -> float:
        if not self._reads:
            return self._ping_at
        return min(self._ping_at, self._heard_at + self._policy.silence_allowed_s)

    def _look(self) -> None:
        now = self._loop.time()
        overslept = now - self._timer.when() > _STALL_S
        silent = self._reads and now - self._heard_at >= self._policy.silence_allowed_s
        if silent and not overslept:
            self._cut()
            return
        if now >= self._ping_at or overslept:
            self._ping()
            # Those that a stall has kept waiting together need not stay together.
            sooner_s = _random.uniform(0, self._policy.heartbeat_s / 2) if overslept else 0.0
            self._ping_at = self._policy.ping_at(now - sooner_s)
        # After a stall, what the lock sent meanwhile is read before the next look.
        again = now + _STALL_S if overslept else self._next_look()
        self._timer = self._loop.call_at(again, self._look)
