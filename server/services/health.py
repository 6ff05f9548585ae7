"""How this node is: what monitoring asks, and whether to send traffic here."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from msgspec import Struct

from server import __version__
from server.domain.errors import StorageUnavailable
from server.services.sessions import Sessions
from server.storage.lock_store import LockStore

_ANSWER_WITHIN_S = 1.0


class StorageHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether MongoDB answers, and how fast."""

    ok: bool
    latency_ms: float | None = None


class Health(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node's health; ``locks_online`` counts the installation's, where MongoDB can tell."""

    status: str
    version: str
    uptime_seconds: float
    mongodb: StorageHealth
    locks_online: int | None
    locks_online_here: int


class HealthCheck:
    """Looks after the parts that this node needs."""

    def __init__(
        self, ping: Callable[[], Awaitable[None]], locks: LockStore, sessions: Sessions
    ) -> None:
        self._ping = ping
        self._locks = locks
        self._sessions = sessions
        self._started = time.monotonic()
        self._draining = False

    def begin_drain(self) -> None:
        """From now on this node is not ready."""
        self._draining = True

    async def check(self) -> Health:
        """The node's health, within a second whatever MongoDB does."""
        started = time.monotonic()
        locks_online: int | None = None
        mongodb = StorageHealth(ok=False)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await self._ping()
                latency_ms = round((time.monotonic() - started) * 1000, 1)
                mongodb = StorageHealth(ok=True, latency_ms=latency_ms)
                locks_online = await self._locks.count_online()
        except (StorageUnavailable, TimeoutError):
            mongodb = StorageHealth(ok=False)
        return Health(
            status="ok" if mongodb.ok else "unavailable",
            version=__version__,
            uptime_seconds=round(time.monotonic() - self._started, 1),
            mongodb=mongodb,
            locks_online=locks_online,
            locks_online_here=self._sessions.online,
        )

    async def is_ready(self) -> bool:
        """Whether traffic should be sent here."""
        return not self._draining and (await self.check()).mongodb.ok
