"""Reports on their way into a real MongoDB: acknowledged when they are stored, and not before."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from pymongo import MongoClient

from server.domain.locks import Lock
from server.domain.organizations import Scope
from server.domain.protocol import Telemetry
from server.domain.telemetry import AckLine, StoredReport
from server.metrics import PrometheusMetrics
from server.services.tasks import Tasks
from server.services.telemetry import TelemetryWriter
from server.settings import Settings
from server.storage.lock_store import LockStore
from server.storage.mongo import Database
from server.storage.report_store import ReportStore

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WITHIN_S = 20
MOST_WAITING = 1000


class Session:
    """A session as the writer knows it; ``at_ack`` looks around when an ack would be sent."""

    epoch = "e"

    def __init__(self, lock_id: int, at_ack: Callable[[], object] = lambda: None) -> None:
        self.lock_id = lock_id
        self.acks: list[int] = []
        self.seen: list[object] = []
        self._line = AckLine(0)
        self._at_ack = at_ack

    @property
    def acked_seq(self) -> int:
        return self._line.acked_seq

    def reports(self, *seqs: int) -> list[StoredReport]:
        for seq in seqs:
            self._line.received(seq)
        return [
            StoredReport(
                lock_id=self.lock_id,
                org_id="org",
                epoch=self.epoch,
                received_at=NOW,
                report=Telemetry(seq=seq, at=NOW, battery=50),
            )
            for seq in seqs
        ]

    def reports_stored(self, seqs: list[int]) -> int:
        for seq in seqs:
            self._line.stored(seq)
        return self._line.acked_seq

    def tell_acked(self) -> None:
        self.seen.append(self._at_ack())
        self.acks.append(self._line.acked_seq)


@pytest.fixture
def writer(database: Database) -> TelemetryWriter:
    return TelemetryWriter(ReportStore(database), MOST_WAITING, PrometheusMetrics())


@asynccontextmanager
async def writing(writer: TelemetryWriter) -> AsyncIterator[None]:
    tasks = Tasks()
    tasks.spawn(writer.write_forever(), "telemetry-writer")
    try:
        yield
    finally:
        await tasks.cancel()


async def test_reports_are_durable_when_they_are_acknowledged(
    writer: TelemetryWriter, database: Database, mongodb_uri: str, settings: Settings
):
    with MongoClient(mongodb_uri) as other_client:
        reports = other_client[settings.mongodb_database]["reports"]
        session = Session(17, at_ack=lambda: reports.count_documents({"lockId": 17}))
        async with writing(writer):
            await writer.put(session, session.reports(1, 2, 3))
            await writer.flush(WITHIN_S)
    assert session.acks == [3]
    assert session.seen == [3]


async def test_nothing_is_acknowledged_before_it_is_written(writer: TelemetryWriter):
    session = Session(17)
    await writer.put(session, session.reports(1))
    assert session.acks == []


async def test_what_is_queued_by_many_sessions_is_written_together_and_acknowledged_to_each(
    writer: TelemetryWriter, database: Database
):
    sessions = [Session(lock_id) for lock_id in range(1, 21)]
    for session in sessions:
        await writer.put(session, session.reports(1, 2))
        await writer.put(session, session.reports(3))
    async with writing(writer):
        await writer.flush(WITHIN_S)
    assert [session.acks for session in sessions] == [[3]] * 20
    assert await database["reports"].count_documents({}) == 60


async def test_reports_that_are_sent_again_are_acknowledged_again(
    writer: TelemetryWriter, database: Database
):
    first, second = Session(17), Session(17)
    async with writing(writer):
        await writer.put(first, first.reports(1, 2))
        await writer.flush(WITHIN_S)
        await writer.put(second, second.reports(1, 2, 3))
        await writer.flush(WITHIN_S)
    assert second.acks == [3]
    assert await database["reports"].count_documents({}) == 3


async def test_behind_a_missing_report_only_what_is_before_it_is_acknowledged(
    writer: TelemetryWriter, database: Database
):
    session = Session(17)
    async with writing(writer):
        await writer.put(session, session.reports(1, 3))
        await writer.flush(WITHIN_S)
    assert session.acks == [1]
    assert await database["reports"].count_documents({}) == 2


async def test_the_lock_keeps_its_latest_reading_and_what_was_acknowledged(
    writer: TelemetryWriter, database: Database
):
    locks = LockStore(database)
    await locks.insert(Lock(id=17, uuid="u", org_id="org", name="Door", created_at=NOW))
    session = Session(17)
    async with writing(writer):
        await writer.put(session, session.reports(1, 2))
        await writer.flush(WITHIN_S)
    lock = await locks.find(17, Scope(org_id="org"))
    assert lock.telemetry is not None
    assert (lock.telemetry.seq, lock.telemetry.battery) == (2, 50)
    assert lock.acked_seq("e") == 2


@asynccontextmanager
async def refusing(database: Database, lock_id: int) -> AsyncIterator[None]:
    """Make the database refuse the reports of one lock, as it would a document it cannot keep."""
    rule = {"lockId": {"$ne": lock_id}}
    await database.command("collMod", "reports", validator=rule)
    try:
        yield
    finally:
        await database.command("collMod", "reports", validator={})


@pytest.mark.expects_log("reports_not_stored")
async def test_reports_that_cannot_be_stored_are_not_acknowledged(
    writer: TelemetryWriter, database: Database
):
    poison = Session(666)
    async with refusing(database, 666), writing(writer):
        await writer.put(poison, poison.reports(1))
        await writer.flush(WITHIN_S)
    assert poison.acks == []


@pytest.mark.expects_log("reports_not_stored")
async def test_reports_that_cannot_be_stored_do_not_stop_those_of_other_locks(
    writer: TelemetryWriter, database: Database
):
    poison, good = Session(666), Session(17)
    async with refusing(database, 666), writing(writer):
        await writer.put(poison, poison.reports(1))
        await writer.flush(WITHIN_S)
        await writer.put(good, good.reports(1))
        await writer.flush(WITHIN_S)
    assert good.acks == [1]
    assert await database["reports"].distinct("lockId") == [17]


async def test_when_too_many_reports_wait_a_lock_waits_until_there_is_room(
    writer: TelemetryWriter,
):
    session = Session(17)
    half = session.reports(*range(1, MOST_WAITING // 2 + 1))
    for _ in range(2):
        await writer.put(session, half)
    waiting = asyncio.create_task(writer.put(session, session.reports(MOST_WAITING)))
    done, _ = await asyncio.wait([waiting], timeout=0)
    assert not done
    async with writing(writer):
        async with asyncio.timeout(WITHIN_S):
            await waiting


@pytest.mark.expects_log("reports_left_to_the_locks")
async def test_what_cannot_be_written_in_time_is_left_to_the_locks(writer: TelemetryWriter):
    session = Session(17)
    await writer.put(session, session.reports(1))
    await writer.flush(0.01)
    assert session.acks == []


async def test_with_nothing_queued_there_is_nothing_to_wait_for(writer: TelemetryWriter):
    await writer.flush(WITHIN_S)
