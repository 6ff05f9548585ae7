"""Locks in a real MongoDB: presence is compare-and-set, and everybody sees their own locks only."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from server.domain.errors import AlreadyExists, LockNotFound
from server.domain.locks import Connection, Lock, OfflineReason
from server.domain.organizations import Scope
from server.storage.lock_store import LockStore
from server.storage.mongo import Database

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
ORG = Scope(org_id="org")
ANOTHER_ORG = Scope(org_id="another org")
ANNA = Scope(owner_id="anna")


@pytest.fixture
def locks(database: Database) -> LockStore:
    return LockStore(database)


def lock_with(lock_id: int = 17, org_id: str = "org", **fields: Any) -> Lock:
    lock = Lock(id=lock_id, uuid=f"uuid-{lock_id}", org_id=org_id, name="Door", created_at=NOW)
    return msgspec.structs.replace(lock, **fields)


def online(session_id: str = "s1", node_id: str = "n1") -> Connection:
    return Connection(
        online=True, since=NOW, session_id=session_id, node_id=node_id, last_seen_at=NOW
    )


async def connection_of(locks: LockStore, lock_id: int = 17) -> Connection:
    return (await locks.find(lock_id, ORG)).connection


# Keeping locks


async def test_a_lock_is_found_as_it_was_stored(locks: LockStore):
    lock = lock_with(time_zone="Europe/Rome", serial_number="A-1", open_for_seconds=7.5)
    await locks.insert(lock)
    assert await locks.find(17, ORG) == lock


async def test_a_lock_id_is_taken_once(locks: LockStore):
    await locks.insert(lock_with())
    with pytest.raises(AlreadyExists, match="17"):
        await locks.insert(lock_with(uuid="another"))


async def test_a_lock_uuid_is_taken_once(locks: LockStore):
    await locks.insert(lock_with(17, uuid="same"))
    with pytest.raises(AlreadyExists):
        await locks.insert(lock_with(18, uuid="same"))


async def test_the_first_lock_has_number_one_and_the_next_one_more_than_the_highest(
    locks: LockStore,
):
    assert await locks.next_id() == 1
    await locks.insert(lock_with(41))
    await locks.insert(lock_with(7))
    assert await locks.next_id() == 42


async def test_the_locks_of_an_organisation_are_listed_by_id(locks: LockStore):
    for lock_id in (3, 1, 2):
        await locks.insert(lock_with(lock_id))
    await locks.insert(lock_with(4, "another org"))
    assert [lock.id for lock in await locks.list_of(ORG)] == [1, 2, 3]


# Tenancy


async def test_another_organisations_lock_is_not_found(locks: LockStore):
    await locks.insert(lock_with(17, "org"))
    with pytest.raises(LockNotFound):
        await locks.find(17, ANOTHER_ORG)


async def test_a_lock_that_does_not_exist_is_not_found(locks: LockStore):
    with pytest.raises(LockNotFound):
        await locks.find(99, ORG)


async def test_of_many_locks_only_those_of_the_organisation_are_found(locks: LockStore):
    await locks.insert(lock_with(1))
    await locks.insert(lock_with(2, "another org"))
    assert set(await locks.find_all([1, 2, 3], ORG)) == {1}


async def test_nobody_replaces_the_token_of_another_organisations_lock(locks: LockStore):
    await locks.insert(lock_with())
    await locks.set_token(17, ORG, "digest")
    with pytest.raises(LockNotFound):
        await locks.set_token(17, ANOTHER_ORG, "another digest")
    assert await locks.find_by_token(17, "another digest") is None
    assert await locks.find_by_token(17, "digest") is not None


async def test_an_owner_reaches_their_own_locks_and_no_others(locks: LockStore):
    await locks.insert(lock_with(1, owner_id="anna"))
    await locks.insert(lock_with(2, owner_id="bo"))
    await locks.insert(lock_with(3))
    assert (await locks.find(1, ANNA)).owner_id == "anna"
    assert [lock.id for lock in await locks.list_of(ANNA)] == [1]
    assert set(await locks.find_all([1, 2, 3], ANNA)) == {1}
    with pytest.raises(LockNotFound):
        await locks.find(2, ANNA)
    with pytest.raises(LockNotFound):
        await locks.set_token(3, ANNA, "digest")


# Device tokens


async def test_a_lock_is_found_by_the_digest_of_its_own_token(locks: LockStore):
    await locks.insert(lock_with(17))
    await locks.insert(lock_with(18))
    await locks.set_token(17, ORG, "digest")
    assert await locks.find_by_token(17, "digest") == lock_with(17)
    assert await locks.find_by_token(18, "digest") is None
    assert await locks.find_by_token(17, "wrong") is None


async def test_a_new_token_takes_the_place_of_the_old_one(locks: LockStore):
    await locks.insert(lock_with())
    await locks.set_token(17, ORG, "old")
    await locks.set_token(17, ORG, "new")
    assert await locks.find_by_token(17, "old") is None


# Presence


async def test_attaching_makes_a_lock_online_in_its_session(locks: LockStore):
    await locks.insert(lock_with())
    await locks.attach(17, online("s1"))
    assert await connection_of(locks) == online("s1")


async def test_each_session_of_a_lock_has_a_higher_number(locks: LockStore):
    await locks.insert(lock_with())
    counts = [(await locks.attach(17, online(session))).session_count for session in "abc"]
    assert counts == [1, 2, 3]


async def test_sessions_that_attach_at_once_have_different_numbers(locks: LockStore):
    await locks.insert(lock_with())
    attached = await asyncio.gather(*(locks.attach(17, online(f"s{n}")) for n in range(20)))
    assert sorted(lock.session_count for lock in attached) == list(range(1, 21))
    [newest] = [lock for lock in attached if lock.session_count == 20]
    assert (await connection_of(locks)).session_id == newest.connection.session_id


async def test_a_lock_that_is_gone_cannot_attach(locks: LockStore):
    with pytest.raises(LockNotFound):
        await locks.attach(17, online())


async def test_detaching_makes_a_lock_offline_and_says_why(locks: LockStore):
    await locks.insert(lock_with())
    await locks.attach(17, online("s1"))
    seen = NOW + timedelta(seconds=30)
    assert await locks.detach(17, "s1", OfflineReason.TIMEOUT, seen, LATER)
    connection = await connection_of(locks)
    assert connection.online is False
    assert connection.offline_reason is OfflineReason.TIMEOUT
    assert (connection.since, connection.last_seen_at) == (LATER, seen)


async def test_the_late_goodbye_of_an_old_session_changes_nothing(locks: LockStore):
    await locks.insert(lock_with())
    await locks.attach(17, online("old"))
    await locks.attach(17, online("new"))
    assert not await locks.detach(17, "old", OfflineReason.CLOSED, NOW, LATER)
    assert await connection_of(locks) == online("new")


async def test_a_session_says_goodbye_only_once(locks: LockStore):
    await locks.insert(lock_with())
    await locks.attach(17, online("s1"))
    assert await locks.detach(17, "s1", OfflineReason.TIMEOUT, NOW, NOW)
    assert not await locks.detach(17, "s1", OfflineReason.CLOSED, LATER, LATER)
    assert (await connection_of(locks)).offline_reason is OfflineReason.TIMEOUT


async def test_a_lock_that_comes_back_has_no_reason_to_be_offline(locks: LockStore):
    await locks.insert(lock_with())
    await locks.attach(17, online("s1"))
    await locks.detach(17, "s1", OfflineReason.TIMEOUT, NOW, NOW)
    await locks.attach(17, online("s2"))
    assert (await connection_of(locks)).offline_reason is None


async def test_an_old_goodbye_and_a_new_session_at_once_leave_the_lock_online(locks: LockStore):
    await locks.insert(lock_with())
    for number in range(20):
        await locks.attach(17, online(f"old{number}"))
        await asyncio.gather(
            locks.detach(17, f"old{number}", OfflineReason.CLOSED, NOW, LATER),
            locks.attach(17, online(f"new{number}")),
        )
        assert await connection_of(locks) == online(f"new{number}")


async def test_the_locks_of_a_lost_node_go_offline(locks: LockStore):
    for lock_id, node_id in ((1, "alive"), (2, "lost"), (3, "lost")):
        await locks.insert(lock_with(lock_id))
        await locks.attach(lock_id, online(node_id=node_id))
    assert await locks.detach_lost(["alive", "idle"], LATER) == 2
    assert (await connection_of(locks, 1)).online is True
    lost = await connection_of(locks, 2)
    assert lost.online is False
    assert lost.offline_reason is OfflineReason.SERVER_LOST
    assert (lost.since, lost.last_seen_at) == (LATER, NOW)


async def test_a_lock_that_was_offline_already_keeps_its_reason_when_a_node_is_lost(
    locks: LockStore,
):
    await locks.insert(lock_with())
    await locks.attach(17, online(node_id="lost"))
    await locks.detach(17, "s1", OfflineReason.CLOSED, NOW, NOW)
    assert await locks.detach_lost([], LATER) == 0
    assert (await connection_of(locks)).offline_reason is OfflineReason.CLOSED


async def test_the_locks_that_are_online_are_counted(locks: LockStore):
    for lock_id in (1, 2, 3):
        await locks.insert(lock_with(lock_id))
    assert await locks.count_online() == 0
    await locks.attach(1, online())
    await locks.attach(3, online())
    assert await locks.count_online() == 2
