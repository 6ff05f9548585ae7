"""Locks in a real MongoDB: everybody sees their own locks only."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from server.domain.errors import AlreadyExists, LockNotFound
from server.domain.locks import Lock
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
    await locks.set_token(17, ORG, "digest", NOW)
    with pytest.raises(LockNotFound):
        await locks.set_token(17, ANOTHER_ORG, "another digest", NOW)
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
        await locks.set_token(3, ANNA, "digest", NOW)


# Device tokens


async def test_a_lock_is_found_by_the_digest_of_its_own_token(locks: LockStore):
    await locks.insert(lock_with(17))
    await locks.insert(lock_with(18))
    await locks.set_token(17, ORG, "digest", NOW)
    assert await locks.find_by_token(17, "digest") == lock_with(17, credential_count=1)
    assert await locks.find_by_token(18, "digest") is None
    assert await locks.find_by_token(17, "wrong") is None


async def test_a_new_token_takes_the_place_of_the_old_one(locks: LockStore):
    await locks.insert(lock_with())
    await locks.set_token(17, ORG, "old", NOW)
    await locks.set_token(17, ORG, "new", NOW)
    assert await locks.find_by_token(17, "old") is None
