"""Reports in a real MongoDB: each is kept once, and the latest reading never goes back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo import WriteConcern

from server.domain.errors import StorageUnavailable
from server.domain.locks import AckedReports, LatestReading, Lock
from server.domain.organizations import Scope
from server.domain.protocol import BoltState, Event, LockEvent, Report, Telemetry
from server.domain.telemetry import StoredReport, known_of_locks
from server.storage.lock_store import LockStore
from server.storage.mongo import Database
from server.storage.report_store import ReportStore

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def reports(database: Database) -> ReportStore:
    return ReportStore(database)


def stored(
    report: Report, lock_id: int = 17, epoch: str = "e", org_id: str = "org"
) -> StoredReport:
    return StoredReport(lock_id=lock_id, org_id=org_id, epoch=epoch, received_at=NOW, report=report)


def reading(seq: int, epoch: str = "e", lock_id: int = 17, **values: Any) -> StoredReport:
    at = NOW - timedelta(minutes=1) + timedelta(seconds=seq)
    return stored(Telemetry(seq=seq, at=at, **values), lock_id, epoch)


def tampered(seq: int, detail: str | None = None) -> StoredReport:
    return stored(Event(seq=seq, at=NOW, event=LockEvent.TAMPERED, detail=detail))


async def seqs(database: Database) -> list[int]:
    return sorted([document["seq"] async for document in database["reports"].find()])


async def add_lock(database: Database, lock_id: int = 17) -> None:
    lock = Lock(id=lock_id, uuid=f"u{lock_id}", org_id="org", name="Door", created_at=NOW)
    await LockStore(database).insert(lock)


async def latest(database: Database, lock_id: int = 17) -> LatestReading | None:
    return (await LockStore(database).find(lock_id, Scope(org_id="org"))).telemetry


# Kept for a time


async def kept_seconds(database: Database) -> float:
    """How long MongoDB keeps a report, as it says itself."""
    indexes = await database["reports"].index_information()
    return indexes["receivedAt_1"]["expireAfterSeconds"]


async def test_the_time_that_reports_are_kept_can_be_changed_later(
    reports: ReportStore, database: Database
):
    await reports.forget_after(timedelta(days=90))
    before = await kept_seconds(database)
    await reports.forget_after(timedelta(days=24_000))
    await reports.forget_after(timedelta(days=24_000))
    assert before == 90 * 86_400
    assert await kept_seconds(database) == 24_000 * 86_400


# Kept once


async def test_a_report_is_kept_with_whose_it_is_and_when_it_came(
    reports: ReportStore, database: Database
):
    await reports.store([reading(1, battery=87.5, bolt=BoltState.LOCKED)])
    document = await database["reports"].find_one({}, {"_id": 0})
    assert document == {
        "type": "telemetry",
        "lockId": 17,
        "orgId": "org",
        "epoch": "e",
        "seq": 1,
        "at": NOW - timedelta(seconds=59),
        "receivedAt": NOW,
        "battery": 87.5,
        "bolt": "locked",
    }


async def test_reports_that_are_sent_again_are_kept_once(reports: ReportStore, database: Database):
    batch = [reading(1), tampered(2), reading(3)]
    assert await reports.store(batch) == 3
    assert await reports.store(batch) == 0
    assert await seqs(database) == [1, 2, 3]


async def test_of_a_batch_that_is_partly_known_the_rest_is_kept(
    reports: ReportStore, database: Database
):
    await reports.store([reading(2), reading(4)])
    assert await reports.store([reading(seq) for seq in range(1, 6)]) == 3
    assert await seqs(database) == [1, 2, 3, 4, 5]


async def test_a_report_that_is_twice_in_one_batch_is_kept_once(
    reports: ReportStore, database: Database
):
    assert await reports.store([reading(1), reading(1), reading(2)]) == 2
    assert await seqs(database) == [1, 2]


async def test_what_was_kept_first_stands(reports: ReportStore, database: Database):
    await reports.store([tampered(1, detail="first")])
    await reports.store([tampered(1, detail="second")])
    document = await database["reports"].find_one()
    assert document is not None
    assert document["detail"] == "first"


async def test_the_same_number_in_another_epoch_is_another_report(
    reports: ReportStore, database: Database
):
    assert await reports.store([reading(1, "old"), reading(1, "new")]) == 2
    assert await seqs(database) == [1, 1]


async def test_the_same_number_of_another_lock_is_another_report(
    reports: ReportStore, database: Database
):
    assert await reports.store([reading(1, lock_id=17), reading(1, lock_id=18)]) == 2
    assert await seqs(database) == [1, 1]


@pytest.mark.parametrize(
    "at",
    [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC)],
)
async def test_the_wildest_clock_of_a_lock_can_be_kept(
    reports: ReportStore, database: Database, at: datetime
):
    await reports.store([stored(Telemetry(seq=1, at=at))])
    document = await database["reports"].find_one()
    assert document is not None
    assert document["at"] == at


async def test_the_reports_of_a_lock_are_listed_for_its_organisation_only(reports: ReportStore):
    await reports.store([reading(1), reading(2, lock_id=18)])
    listed = await reports.list_of_lock(17, "org", 10)
    assert [document["seq"] for document in listed] == [1]
    assert await reports.list_of_lock(17, "another org", 10) == []


async def test_reports_that_are_not_durable_do_not_count_as_stored(database: Database):
    of_two_nodes = database.with_options(write_concern=WriteConcern(w=2))  # there is only one
    with pytest.raises(StorageUnavailable):
        await ReportStore(of_two_nodes).store([reading(1), reading(2)])


# The latest reading


async def test_the_latest_reading_is_kept_with_the_lock(reports: ReportStore, database: Database):
    await add_lock(database)
    await reports.update_locks(known_of_locks([reading(7, battery=55)], {}, NOW))
    assert await latest(database) == LatestReading(
        seq=7, epoch="e", at=NOW - timedelta(seconds=53), received_at=NOW, battery=55
    )


async def test_a_value_stands_until_a_later_reading_carries_it_again(
    reports: ReportStore, database: Database
):
    await add_lock(database)
    await reports.update_locks(known_of_locks([reading(1, battery=55, rssi=-60)], {}, NOW))
    await reports.update_locks(known_of_locks([reading(2, rssi=-70)], {}, NOW))
    said = await latest(database)
    assert said is not None
    assert (said.seq, said.battery, said.rssi) == (2, 55, -70)


@pytest.mark.parametrize("seq", [1, 6, 7])
async def test_a_reading_that_is_older_or_known_overwrites_nothing(
    reports: ReportStore, database: Database, seq: int
):
    await add_lock(database)
    await reports.update_locks(known_of_locks([reading(7, battery=55)], {}, NOW))
    before = await latest(database)
    await reports.update_locks(known_of_locks([reading(seq, battery=99, rssi=-60)], {}, NOW))
    assert await latest(database) == before


async def test_after_a_factory_reset_the_first_reading_counts(
    reports: ReportStore, database: Database
):
    await add_lock(database)
    await reports.update_locks(known_of_locks([reading(900, "old", battery=5)], {}, NOW))
    await reports.update_locks(known_of_locks([reading(1, "new", battery=98)], {}, NOW))
    said = await latest(database)
    assert said is not None
    assert (said.epoch, said.seq, said.battery) == ("new", 1, 98)


async def test_an_event_is_no_reading(reports: ReportStore, database: Database):
    await add_lock(database)
    await reports.update_locks(known_of_locks([tampered(1)], {}, NOW))
    assert await latest(database) is None


async def test_the_readings_of_many_locks_do_not_mix(reports: ReportStore, database: Database):
    for lock_id in (17, 18):
        await add_lock(database, lock_id)
    await reports.update_locks(
        known_of_locks(
            [reading(1, lock_id=17, battery=17), reading(9, lock_id=18, battery=18)], {}, NOW
        )
    )
    first, second = await latest(database, 17), await latest(database, 18)
    assert first is not None
    assert second is not None
    assert (first.battery, second.battery) == (17, 18)


async def test_what_is_acknowledged_is_kept_with_the_lock(reports: ReportStore, database: Database):
    await add_lock(database)
    acked = AckedReports(epoch="e", seq=7)
    await reports.update_locks(known_of_locks([reading(7)], {17: acked}, NOW))
    lock = await LockStore(database).find(17, Scope(org_id="org"))
    assert lock.acked == acked
    assert lock.connection.last_seen_at == NOW


async def test_a_reading_is_no_proof_of_life(reports: ReportStore, database: Database):
    await add_lock(database)
    await reports.update_locks(known_of_locks([reading(7)], {}, NOW))
    lock = await LockStore(database).find(17, Scope(org_id="org"))
    assert lock.connection.online is False


async def test_a_lock_that_is_gone_is_not_made_again_by_its_readings(
    reports: ReportStore, database: Database
):
    await reports.update_locks(
        known_of_locks([reading(7)], {17: AckedReports(epoch="e", seq=7)}, NOW)
    )
    assert await database["locks"].count_documents({}) == 0
