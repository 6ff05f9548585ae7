"""The streams of events in a real MongoDB: versions without a gap, and all or nothing."""

import asyncio
from datetime import UTC, datetime

import pytest

from server.domain.errors import ChangedMeanwhile, LockNotFound
from server.domain.events import LockOffline, LockOnline, RecordedEvent
from server.domain.locks import Lock
from server.domain.organizations import EVERYBODYS
from server.storage.event_log import EventLog
from server.storage.event_store import EventStore
from server.storage.lock_store import LockStore
from server.storage.mongo import Database, Transaction

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AT = "2026-11-23T08:00:00.000Z"


@pytest.fixture
def events(database: Database) -> EventStore:
    return EventStore(database)


@pytest.fixture
def locks(database: Database) -> LockStore:
    return LockStore(database)


@pytest.fixture
def log(database: Database) -> EventLog:
    return EventLog(database)


def lock_with(lock_id: int, org_id: str = "org") -> Lock:
    return Lock(id=lock_id, uuid=f"uuid-{lock_id}", org_id=org_id, name="Door", created_at=NOW)


def online(lock_id: int = 17) -> LockOnline:
    return LockOnline(lock_id=lock_id, timestamp=AT, uuid=f"uuid-{lock_id}")


async def stream(log: EventLog, lock_id: int = 17) -> list[RecordedEvent]:
    return await log.list_of_lock(lock_id, "org", 0, 1000)


async def test_the_first_event_of_a_lock_has_version_one(events: EventStore, locks: LockStore):
    await locks.insert(lock_with(17))
    [recorded] = await events.record([online()], NOW)
    assert (recorded.version, recorded.type, recorded.org_id) == (1, "LockOnline", "org")
    assert recorded.data == {"lockId": 17, "timestamp": AT, "uuid": "uuid-17"}


async def test_a_locks_version_is_that_of_its_newest_event(events: EventStore, locks: LockStore):
    await locks.insert(lock_with(17))
    await events.record([online(), online(), online()], NOW)
    assert (await locks.find(17, EVERYBODYS)).version == 3


async def test_each_lock_has_a_stream_of_its_own(
    events: EventStore, locks: LockStore, log: EventLog
):
    await locks.insert(lock_with(17))
    await locks.insert(lock_with(18))
    await events.record([online(18), online(17), online(18)], NOW)
    assert [event.version for event in await stream(log, 17)] == [1]
    assert [event.version for event in await stream(log, 18)] == [1, 2]


async def test_versions_have_no_gap_when_many_record_at_once(
    events: EventStore, locks: LockStore, log: EventLog
):
    await locks.insert(lock_with(17))
    await asyncio.gather(*(events.record([online(), online()], NOW) for _ in range(25)))
    assert [event.version for event in await stream(log)] == list(range(1, 51))


async def test_an_event_of_a_lock_that_is_gone_is_refused(events: EventStore):
    with pytest.raises(LockNotFound):
        await events.record([online()], NOW)


async def test_a_change_that_fails_leaves_no_event_behind(
    events: EventStore, locks: LockStore, log: EventLog
):
    await locks.insert(lock_with(17))

    async def fail(_: Transaction) -> None:
        raise ChangedMeanwhile

    with pytest.raises(ChangedMeanwhile):
        await events.record([online()], NOW, fail)
    assert await stream(log) == []
    assert (await locks.find(17, EVERYBODYS)).version == 0


async def test_an_event_that_fails_undoes_the_change(
    events: EventStore, locks: LockStore, database: Database
):
    async def change(transaction: Transaction) -> None:
        await database["locks"].insert_one({"_id": 99}, session=transaction)

    with pytest.raises(LockNotFound):
        await events.record([online(17)], NOW, change)
    assert await database["locks"].find_one({"_id": 99}) is None


# Once


async def test_an_event_with_an_id_is_recorded_once(
    events: EventStore, locks: LockStore, log: EventLog
):
    await locks.insert(lock_with(17))
    assert await events.record_once("e1", online(), NOW)
    assert not await events.record_once("e1", online(), NOW)
    assert [event.id for event in await stream(log)] == ["e1"]


async def test_of_many_that_record_the_same_event_at_once_one_does(
    events: EventStore, locks: LockStore, log: EventLog
):
    await locks.insert(lock_with(17))
    done = await asyncio.gather(*(events.record_once("e1", online(), NOW) for _ in range(20)))
    assert done.count(True) == 1
    assert [event.version for event in await stream(log)] == [1]


async def test_of_several_events_only_the_new_ones_are_recorded(
    events: EventStore, locks: LockStore, log: EventLog
):
    await locks.insert(lock_with(17))
    await events.record_once("e1", online(), NOW)
    offline = LockOffline(lock_id=17, timestamp=AT, uuid="uuid-17", reason="closed")
    assert await events.record_each_once({"e1": online(), "e2": offline}, NOW) == 1
    assert [event.id for event in await stream(log)] == ["e1", "e2"]


async def test_nothing_to_record_is_no_work(events: EventStore):
    assert await events.record_each_once({}, NOW) == 0


async def test_an_event_is_found_by_its_id(events: EventStore, locks: LockStore):
    await locks.insert(lock_with(17))
    await events.record_once("e1", online(), NOW)
    found = await events.find("e1")
    assert found is not None
    assert found.version == 1
    assert await events.find("e2") is None
