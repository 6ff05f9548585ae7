"""Locks that leave: that they are offline is recorded, tried again while MongoDB is away."""

import asyncio
from contextlib import suppress
from datetime import datetime

import structlog

from server import clock
from server.bus.base import Bus
from server.domain.errors import StorageUnavailable
from server.domain.locks import OfflineReason
from server.services.lock_session import LockSession
from server.services.metrics import Metrics
from server.services.tasks import Tasks
from server.storage.presence_store import PresenceStore

log = structlog.get_logger(__name__)

_RETRY_S = (0.2, 0.5, 1, 2, 5, 5, 5, 5)


class Departures:
    """Records the ends of this node's sessions, each by work of its own that nobody waits for."""

    def __init__(self, presence: PresenceStore, bus: Bus, metrics: Metrics) -> None:
        self._presence = presence
        self._bus = bus
        self._metrics = metrics
        self._under_way: set[str] = set()
        self._tasks = Tasks()

    @property
    def under_way(self) -> set[str]:
        """The ids of sessions whose end is just being recorded."""
        return self._under_way

    def begin(self, session: LockSession, reason: OfflineReason) -> None:
        """Let go of the session's lock, and record that it is offline from now on."""
        self._under_way.add(session.id)
        work = self._record_by_and_by(session, reason, clock.now())
        self._tasks.spawn(work, f"offline-{session.lock.id}")

    async def record(
        self,
        lock_id: int,
        session_id: str,
        reason: OfflineReason,
        last_seen_at: datetime,
        since: datetime,
    ) -> None:
        """Record that the lock is offline, unless it is in another session by now.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        if await self._presence.detach(lock_id, session_id, reason, last_seen_at, since):
            self._metrics.went_offline(reason)
            log.info("lock_offline", lock=lock_id, session=session_id, reason=reason.value)

    async def finish(self, within_s: float) -> None:
        """Wait until all is recorded; what is not after ``within_s`` seconds is given up."""
        await self._tasks.finish(within_s)

    async def _record_by_and_by(
        self, session: LockSession, reason: OfflineReason, since: datetime
    ) -> None:
        await self._bus.release_lock(session.lock.id, session)
        try:
            for retry_after_s in _RETRY_S:
                with suppress(StorageUnavailable):
                    await self.record(
                        session.lock.id, session.id, reason, session.last_seen_at, since
                    )
                    return
                await asyncio.sleep(retry_after_s)
            # The next ``Sessions.check_all`` that reaches MongoDB finds it.
            log.warning("lock_offline_recorded_later", lock=session.lock.id)
        finally:
            self._under_way.discard(session.id)
