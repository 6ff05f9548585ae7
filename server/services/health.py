"""How this node is: what monitoring asks, and whether to send traffic here."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from msgspec import UNSET, Struct, UnsetType

from server import __version__
from server.domain.errors import LatchkeyError
from server.services.loop_watch import LoopWatch
from server.services.seldom import Seldom
from server.services.sessions import Sessions
from server.storage.presence_store import PresenceStore

Ping = Callable[[], Awaitable[None]]
"""Asks a part for a sign of life; raises a ``LatchkeyError`` where none comes."""

_ANSWER_WITHIN_S = 1.0


class PartHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a part that this node needs answers, and how fast.

    Of the event loop it is how late that was at worst in the last seconds.
    """

    ok: bool
    latency_ms: float | None = None


class Health(Struct, frozen=True, kw_only=True, rename="camel"):
    """A node's health; ``locks_online`` counts the installation's, where MongoDB can tell.

    ``keys_at_risk`` are those that begin within three days on a lock in trouble, of all
    organisations, as counted half a minute ago at most.

    ``status`` is ``unavailable`` without MongoDB, and ``degraded`` where the event loop stalls or
    without NATS, if there should be one: this node's own locks open then, others do not.
    """

    status: str
    version: str
    uptime_seconds: float
    mongodb: PartHealth
    nats: PartHealth | UnsetType = UNSET
    event_loop: PartHealth
    locks_online: int | None
    locks_online_here: int
    keys_at_risk: int | None


class HealthCheck:
    """Looks after the parts that this node needs."""

    def __init__(
        self,
        ping_mongodb: Ping,
        ping_nats: Ping | None,
        presence: PresenceStore,
        sessions: Sessions,
        loop_watch: LoopWatch,
        keys_at_risk: Seldom[int],
    ) -> None:
        self._ping_mongodb = ping_mongodb
        self._ping_nats = ping_nats
        self._presence = presence
        self._sessions = sessions
        self._loop_watch = loop_watch
        self._keys_at_risk = keys_at_risk
        self._started = time.monotonic()
        self._draining = False

    def begin_drain(self) -> None:
        """From now on this node is not ready."""
        self._draining = True

    async def check(self) -> Health:
        """The node's health, within a second or two whatever its parts do."""
        mongodb, nats, locks_online, keys_at_risk = await asyncio.gather(
            _health_of(self._ping_mongodb),
            _unset() if self._ping_nats is None else _health_of(self._ping_nats),
            self._count_online(),
            self._keys_at_risk.known(),
        )
        event_loop = self._health_of_loop()
        degraded = not event_loop.ok or (nats is not UNSET and not nats.ok)
        return Health(
            status="unavailable" if not mongodb.ok else "degraded" if degraded else "ok",
            version=__version__,
            uptime_seconds=round(time.monotonic() - self._started, 1),
            mongodb=mongodb,
            nats=nats,
            event_loop=event_loop,
            locks_online=locks_online if mongodb.ok else None,
            locks_online_here=self._sessions.online,
            keys_at_risk=keys_at_risk,
        )

    async def is_ready(self) -> bool:
        """Whether traffic should be sent here.

        It should without NATS: if that is away, it is so for all nodes, and each still opens
        its own locks.
        """
        if self._draining or self._loop_watch.is_stalled:
            return False
        return (await _health_of(self._ping_mongodb)).ok

    def _health_of_loop(self) -> PartHealth:
        latency_ms = round(self._loop_watch.worst_s * 1000, 1)
        return PartHealth(ok=not self._loop_watch.is_stalled, latency_ms=latency_ms)

    async def _count_online(self) -> int | None:
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                return await self._presence.count_online()
        except (LatchkeyError, TimeoutError):
            return None


async def _health_of(ping: Ping) -> PartHealth:
    started = time.monotonic()
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            await ping()
    except (LatchkeyError, TimeoutError):
        return PartHealth(ok=False)
    return PartHealth(ok=True, latency_ms=round((time.monotonic() - started) * 1000, 1))


async def _unset() -> UnsetType:
    return UNSET
