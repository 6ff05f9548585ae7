"""What reports tell of their locks, on its way into the locks' documents a few times a second."""

import asyncio
from collections.abc import Mapping

import structlog

from server.domain.errors import StorageUnavailable
from server.domain.telemetry import KnownOfLock
from server.storage.report_store import ReportStore

log = structlog.get_logger(__name__)

_PAUSE_S = 0.2
"""Between two writes: meanwhile what comes of one lock becomes one update."""


class KnownOfLocks:
    """Keeps at most one piece of news for each lock, so it is bounded by the number of locks.

    Nothing here is owed to anybody: the reports themselves are stored, and a lock that is not
    told in its next welcome that they are sends them again, to be stored once.
    """

    def __init__(self, store: ReportStore) -> None:
        self._store = store
        self._waiting: dict[int, KnownOfLock] = {}
        self._has_news = asyncio.Event()
        self._is_written = asyncio.Event()
        self._is_written.set()

    def note(self, known: Mapping[int, KnownOfLock]) -> None:
        """Have this kept with the locks soon."""
        for lock_id, news in known.items():
            before = self._waiting.get(lock_id)
            self._waiting[lock_id] = news if before is None else before.then(news)
        self._has_news.set()
        self._is_written.clear()

    async def write_forever(self) -> None:
        """Write what there is, again and again: run as the one task of its kind."""
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            known, self._waiting = self._waiting, {}
            try:
                await self._store.update_locks(known)
            except StorageUnavailable:
                log.warning("latest_readings_late", locks=len(known))
                since, self._waiting = self._waiting, known
                self.note(since)
            except Exception:
                log.exception("latest_readings_not_kept", locks=len(known))
            if not self._waiting:
                self._is_written.set()
            await asyncio.sleep(_PAUSE_S)

    async def until_written(self) -> None:
        """Wait until nothing is waiting to be written."""
        await self._is_written.wait()
