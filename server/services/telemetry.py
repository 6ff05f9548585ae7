"""Reports on their way into storage: gathered across locks, written together, then acknowledged."""

import asyncio
from collections import defaultdict
from typing import Protocol

import structlog

from server import clock
from server.domain.errors import StorageUnavailable
from server.domain.locks import AckedReports
from server.domain.telemetry import StoredReport, known_of_locks
from server.services.known_of_locks import KnownOfLocks
from server.services.metrics import Metrics
from server.services.room import Room
from server.storage.report_store import ReportStore

log = structlog.get_logger(__name__)

_MOST_PER_WRITE = 2_000
_RETRY_AFTER_S = 0.5
_MANY = 200
_GATHER_S = 0.02
"""How long a write waits for more where fewer than ``_MANY`` reports are to be written.

A write costs the server as much as some twenty reports do, and no lock is in a hurry for its ack.
"""


class Acknowledging(Protocol):
    """A session, as far as the writer knows it."""

    @property
    def epoch(self) -> str: ...

    @property
    def acked_seq(self) -> int: ...

    def reports_stored(self, seqs: list[int]) -> int: ...

    def tell_acked(self) -> None: ...


class TelemetryWriter:
    """One queue, one writer.

    When ``most_waiting`` reports wait to be stored, ``put`` waits, so that nothing more is
    read from the locks that report: what is not acknowledged stays with them.
    """

    def __init__(self, reports: ReportStore, most_waiting: int, metrics: Metrics) -> None:
        self._store = reports
        self._metrics = metrics
        self._known = KnownOfLocks(reports)
        self._room = Room(most_waiting)
        self._waiting: asyncio.Queue[tuple[Acknowledging, list[StoredReport]]] = asyncio.Queue()

    @property
    def waiting(self) -> int:
        """How many reports are in memory, to be stored."""
        return self._room.taken

    async def put(self, session: Acknowledging, reports: list[StoredReport]) -> None:
        """Queue a session's reports; waits until there is room for them."""
        self._metrics.reports_received(len(reports))
        await self._room.take(len(reports))
        self._waiting.put_nowait((session, reports))

    async def write_forever(self) -> None:
        """Store what is queued and acknowledge it: run as the one task of its kind."""
        async with asyncio.TaskGroup() as writers:
            writers.create_task(self._store_forever())
            writers.create_task(self._known.write_forever())

    async def _store_forever(self) -> None:
        while True:
            gathered = [await self._waiting.get()]
            if self._room.taken < _MANY:
                await asyncio.sleep(_GATHER_S)
            count = len(gathered[0][1])
            while count < _MOST_PER_WRITE and not self._waiting.empty():
                gathered.append(self._waiting.get_nowait())
                count += len(gathered[-1][1])
            try:
                await self._write(gathered)
            except Exception:
                # Whatever it is, it must not stop the other locks' reports; these are
                # not acknowledged, so they stay with their locks.
                log.exception("reports_not_stored", reports=count)
            self._room.give_back(count)
            for _ in gathered:
                self._waiting.task_done()

    async def flush(self, within_s: float) -> None:
        """Wait until what is queued is stored, at most ``within_s`` seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._waiting.join()
                await self._known.until_written()
        except TimeoutError:
            log.warning("reports_left_to_the_locks")

    async def _write(self, gathered: list[tuple[Acknowledging, list[StoredReport]]]) -> None:
        reports = [stored for _, batch in gathered for stored in batch]
        await self._store_until_done(reports)
        seqs: defaultdict[Acknowledging, list[int]] = defaultdict(list)
        lock_ids: dict[Acknowledging, int] = {}
        for session, batch in gathered:
            seqs[session] += [stored.report.seq for stored in batch]
            lock_ids[session] = batch[0].lock_id
        # What was acknowledged before tells nothing new of its lock.
        news = [
            stored
            for session, batch in gathered
            for stored in batch
            if stored.report.seq > session.acked_seq
        ]
        acked: dict[int, AckedReports] = {}
        for session, stored_seqs in seqs.items():
            up_to = session.reports_stored(stored_seqs)
            session.tell_acked()
            acked[lock_ids[session]] = AckedReports(epoch=session.epoch, seq=up_to)
        self._known.note(known_of_locks(news, acked, clock.now()))

    async def _store_until_done(self, reports: list[StoredReport]) -> None:
        while True:
            try:
                new = await self._store.store(reports)
            except StorageUnavailable:
                log.warning("reports_wait_for_storage", reports=len(reports))
                await asyncio.sleep(_RETRY_AFTER_S)
            else:
                waited = clock.now() - min(stored.received_at for stored in reports)
                self._metrics.reports_stored(new, len(reports) - new, waited.total_seconds())
                return
