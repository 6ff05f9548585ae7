"""Presence in a real MongoDB: compare-and-set on the session, so that the newest one counts."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec import structs

from server.domain.errors import LockNotFound
from server.domain.locks import Connection, Lock, OfflineReason
from server.domain.organizations import Scope
from server.storage.lock_store import LockStore
from server.storage.mongo import Database
from server.storage.presence_store import PresenceStore

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
ORG = Scope(org_id="org")
ANOTHER_ORG = Scope(org_id="another org")
ANNA = Scope(owner_id="anna")


@pytest.fixture
def locks(database: Database) -> LockStore:
    return LockStore(database)


@pytest.fixture
def presence(database: Database) -> PresenceStore:
    return PresenceStore(database)


def lock_with(lock_id: int = 17, org_id: str = "org", **fields: Any) -> Lock:
    lock = Lock(id=lock_id, uuid=f"uuid-{lock_id}", org_id=org_id, name="Door", created_at=NOW)
    return msgspec.structs.replace(lock, **fields)


def online(session_id: str = "s1", node_id: str = "n1") -> Connection:
    return Connection(
        online=True, since=NOW, session_id=session_id, node_id=node_id, last_seen_at=NOW
    )


async def connection_of(locks: LockStore, lock_id: int = 17) -> Connection:
    return (await locks.find(lock_id, ORG)).connection


# Presence


async def test_attaching_makes_a_lock_online_in_its_session(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    await presence.attach(lock_with(), online("s1"))
    assert await connection_of(locks) == online("s1")


async def test_each_session_of_a_lock_has_a_higher_number(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    counts = [
        (await presence.attach(lock_with(), online(session))).session_count for session in "abc"
    ]
    assert counts == [1, 2, 3]


async def test_sessions_that_attach_at_once_have_different_numbers(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    attached = await asyncio.gather(
        *(presence.attach(lock_with(), online(f"s{n}")) for n in range(20))
    )
    assert sorted(lock.session_count for lock in attached) == list(range(1, 21))
    [newest] = [lock for lock in attached if lock.session_count == 20]
    assert (await connection_of(locks)).session_id == newest.connection.session_id


async def test_a_lock_that_is_gone_cannot_attach(locks: LockStore, presence: PresenceStore):
    with pytest.raises(LockNotFound):
        await presence.attach(lock_with(), online())


async def test_detaching_makes_a_lock_offline_and_says_why(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    await presence.attach(lock_with(), online("s1"))
    seen = NOW + timedelta(seconds=30)
    assert await presence.detach(17, "s1", OfflineReason.TIMEOUT, seen, LATER)
    connection = await connection_of(locks)
    assert connection.online is False
    assert connection.offline_reason is OfflineReason.TIMEOUT
    assert (connection.since, connection.last_seen_at) == (LATER, seen)


async def test_the_late_goodbye_of_an_old_session_changes_nothing(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    await presence.attach(lock_with(), online("old"))
    await presence.attach(lock_with(), online("new"))
    assert not await presence.detach(17, "old", OfflineReason.CLOSED, NOW, LATER)
    assert await connection_of(locks) == online("new")


async def test_a_session_says_goodbye_only_once(locks: LockStore, presence: PresenceStore):
    await locks.insert(lock_with())
    await presence.attach(lock_with(), online("s1"))
    assert await presence.detach(17, "s1", OfflineReason.TIMEOUT, NOW, NOW)
    assert not await presence.detach(17, "s1", OfflineReason.CLOSED, LATER, LATER)
    assert (await connection_of(locks)).offline_reason is OfflineReason.TIMEOUT


async def test_a_lock_that_comes_back_has_no_reason_to_be_offline(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    await presence.attach(lock_with(), online("s1"))
    await presence.detach(17, "s1", OfflineReason.TIMEOUT, NOW, NOW)
    await presence.attach(lock_with(), online("s2"))
    assert (await connection_of(locks)).offline_reason is None


async def test_an_old_goodbye_and_a_new_session_at_once_leave_the_lock_online(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    for number in range(20):
        await presence.attach(lock_with(), online(f"old{number}"))
        await asyncio.gather(
            presence.detach(17, f"old{number}", OfflineReason.CLOSED, NOW, LATER),
            presence.attach(lock_with(), online(f"new{number}")),
        )
        connection = await connection_of(locks)
        assert (connection.online, connection.session_id) == (True, f"new{number}")


async def test_a_session_begins_no_earlier_than_the_one_before_it_ended(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    await presence.attach(lock_with(), online("s1"))
    await presence.detach(17, "s1", OfflineReason.CLOSED, NOW, LATER)
    lock = await presence.attach(lock_with(), online("s2"))
    assert lock.connection == structs.replace(online("s2"), since=LATER)


async def test_the_locks_of_a_lost_node_go_offline(locks: LockStore, presence: PresenceStore):
    for lock_id, node_id in ((1, "alive"), (2, "lost"), (3, "lost")):
        await locks.insert(lock_with(lock_id))
        await presence.attach(lock_with(lock_id), online(node_id=node_id))
    assert await presence.detach_lost(["lost", "another"], LATER) == 2
    assert (await connection_of(locks, 1)).online is True
    lost = await connection_of(locks, 2)
    assert lost.online is False
    assert lost.offline_reason is OfflineReason.SERVER_LOST
    assert (lost.since, lost.last_seen_at) == (LATER, NOW)


async def test_a_lock_that_was_offline_already_keeps_its_reason_when_a_node_is_lost(
    locks: LockStore, presence: PresenceStore
):
    await locks.insert(lock_with())
    await presence.attach(lock_with(), online(node_id="lost"))
    await presence.detach(17, "s1", OfflineReason.CLOSED, NOW, NOW)
    assert await presence.detach_lost(["lost"], LATER) == 0
    assert (await connection_of(locks)).offline_reason is OfflineReason.CLOSED


async def test_the_locks_that_are_online_are_counted(locks: LockStore, presence: PresenceStore):
    for lock_id in (1, 2, 3):
        await locks.insert(lock_with(lock_id))
    assert await presence.count_online() == 0
    await presence.attach(lock_with(1), online())
    await presence.attach(lock_with(3), online())
    assert await presence.count_online() == 2
