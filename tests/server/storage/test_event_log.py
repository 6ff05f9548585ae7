"""Reading events: every reader who goes on after a cursor sees every event, once, in one order."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.events import LockOnline, LockTampered
from server.domain.locks import Lock
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
def log(database: Database) -> EventLog:
    return EventLog(database)


def lock_with(lock_id: int, org_id: str = "org") -> Lock:
    return Lock(id=lock_id, uuid=f"uuid-{lock_id}", org_id=org_id, name="Door", created_at=NOW)


def online(lock_id: int = 17) -> LockOnline:
    return LockOnline(lock_id=lock_id, timestamp=AT, uuid=f"uuid-{lock_id}")


async def with_locks(database: Database, *locks: Lock) -> None:
    for lock in locks:
        await LockStore(database).insert(lock)


async def test_an_event_is_listed_once_it_has_its_place(
    database: Database, events: EventStore, log: EventLog
):
    await with_locks(database, lock_with(17))
    await events.record([online()], NOW)
    assert await log.list_in_order(0, 10) == []
    assert await log.place(10) == 1
    assert [event.position for event in await log.list_in_order(0, 10)] == [1]


async def test_placing_again_places_nothing(database: Database, events: EventStore, log: EventLog):
    await with_locks(database, lock_with(17))
    await events.record([online()], NOW)
    await log.place(10)
    assert await log.place(10) == 0


async def test_events_are_placed_by_their_time_as_far_as_versions_allow(
    database: Database, events: EventStore, log: EventLog
):
    await with_locks(database, lock_with(17), lock_with(18))
    await events.record([online(18)], NOW + timedelta(seconds=2))
    await events.record([online(17)], NOW + timedelta(seconds=3))
    await events.record([online(17)], NOW)  # by a clock that is behind
    await log.place(10)
    listed = await log.list_in_order(0, 10)
    assert [(event.lock_id, event.version) for event in listed] == [(18, 1), (17, 1), (17, 2)]


async def test_a_reader_misses_no_event_of_a_transaction_that_ends_late(
    database: Database, events: EventStore, log: EventLog
):
    await with_locks(database, lock_with(17), lock_with(18))
    began, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_: Transaction) -> None:
        began.set()
        await may_end.wait()

    late = asyncio.create_task(events.record([online(17)], NOW, slow))
    await began.wait()
    await events.record([online(18)], NOW + timedelta(seconds=1))
    await log.place(10)
    [first] = await log.list_in_order(0, 10)
    may_end.set()
    await late
    await log.place(10)
    [second] = await log.list_in_order(first.position, 10)
    assert (first.lock_id, second.lock_id) == (18, 17)


async def test_several_nodes_that_place_at_once_give_each_place_once(
    database: Database, events: EventStore, log: EventLog
):
    await with_locks(database, lock_with(17))
    await events.record([online()] * 60, NOW)
    while sum(await asyncio.gather(*(log.place(7) for _ in range(4)))):
        pass
    listed = await log.list_in_order(0, 100)
    assert [event.position for event in listed] == list(range(1, 61))
    assert [event.version for event in listed] == list(range(1, 61))


async def test_a_reader_sees_every_event_once_while_others_write(
    database: Database, events: EventStore, log: EventLog
):
    await with_locks(database, *(lock_with(number) for number in range(1, 6)))
    writing = asyncio.gather(*(events.record([online(n % 5 + 1)], NOW) for n in range(50)))
    seen: list[tuple[int, int]] = []
    after = 0
    while not writing.done() or await log.place(10):
        await log.place(10)
        for event in await log.list_in_order(after, 3):
            seen.append((event.lock_id, event.version))
            after = event.position
    while listed := await log.list_in_order(after, 3):
        seen += [(event.lock_id, event.version) for event in listed]
        after = listed[-1].position
    await writing
    assert sorted(seen) == [(lock, version) for lock in range(1, 6) for version in range(1, 11)]
    for lock_id in range(1, 6):
        assert [v for lock, v in seen if lock == lock_id] == list(range(1, 11))


async def test_an_organisation_sees_its_own_events_only(
    database: Database, events: EventStore, log: EventLog
):
    await with_locks(database, lock_with(17), lock_with(18, "another org"))
    await events.record([online(17), online(18)], NOW)
    await log.place(10)
    listed = await log.list_in_order(0, 10, org_id="org")
    assert [event.lock_id for event in listed] == [17]
    assert await log.count_of_lock(18, "org") == 0
    assert await log.list_of_lock(18, "org", 0, 10) == []
    assert await log.newest_of_lock(18, "org") is None


async def test_an_owner_sees_the_events_of_the_locks_that_are_named(
    database: Database, events: EventStore, log: EventLog
):
    locks = [lock_with(17), lock_with(18), lock_with(19)]
    await with_locks(database, *locks)
    await events.record([online(17), online(18), online(19)], NOW)
    await log.place(10)
    listed = await log.list_in_order(0, 10, locks=locks[1:])
    assert [event.lock_id for event in listed] == [18, 19]
    assert await log.list_in_order(0, 10, locks=[]) == []


async def test_events_of_one_type_keep_their_places(
    database: Database, events: EventStore, log: EventLog
):
    await with_locks(database, lock_with(17))
    tampered = LockTampered(lock_id=17, timestamp=AT, uuid="uuid-17")
    await events.record([online(), tampered, online()], NOW)
    await log.place(10)
    [event] = await log.list_in_order(0, 10, kind="LockTampered")
    assert event.position == 2
