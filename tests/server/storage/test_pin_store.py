"""PINs in a real MongoDB: unique at each lock, claimed at all locks of a key or at none."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.storage.mongo import Database
from server.storage.pin_store import PinDigest, PinStore, StoredPin

NOW = datetime(2099, 11, 22, 21, 14, tzinfo=UTC)  # MongoDB itself deletes what is over
HOUR = timedelta(hours=1)


@pytest.fixture
def pins(database: Database) -> PinStore:
    return PinStore(database)


def make_pin(
    key_uuid: str, *lock_ids: int, pin: str = "482913", valid_until: datetime = NOW + HOUR
) -> StoredPin:
    return StoredPin(
        key_uuid=key_uuid,
        locks=[PinDigest(lock_id=lock_id, digest=f"{lock_id}/{pin}") for lock_id in lock_ids],
        sealed=f"sealed {pin}".encode(),
        valid_until=valid_until,
    )


async def test_a_claimed_pin_is_found_at_each_of_its_locks_and_by_its_key(pins: PinStore):
    pin = make_pin("key", 7, 8)
    assert await pins.claim(pin, NOW)
    assert await pins.find(7, "7/482913") == pin
    assert await pins.find(8, "8/482913") == pin
    assert await pins.find_of_key("key") == pin


async def test_digest_and_lock_must_fit_together(pins: PinStore):
    await pins.claim(make_pin("key", 7, 8), NOW)
    assert await pins.find(7, "8/482913") is None
    assert await pins.find(9, "7/482913") is None


async def test_a_pin_is_claimed_once_at_a_lock(pins: PinStore):
    assert await pins.claim(make_pin("first", 7), NOW)
    assert not await pins.claim(make_pin("second", 7), NOW)
    assert await pins.claim(make_pin("third", 7, pin="000001"), NOW)
    assert await pins.claim(make_pin("fourth", 8), NOW)


async def test_a_pin_that_is_taken_at_one_lock_is_claimed_at_none(pins: PinStore):
    assert await pins.claim(make_pin("first", 8), NOW)
    assert not await pins.claim(make_pin("second", 7, 8, 9), NOW)
    assert await pins.find_of_key("second") is None
    assert await pins.claim(make_pin("third", 7, 9), NOW)


async def test_of_many_that_claim_a_pin_at_once_one_has_it(pins: PinStore):
    claims = [pins.claim(make_pin(f"key-{n}", n, 100), NOW) for n in range(30)]
    assert sum(await asyncio.gather(*claims)) == 1


async def test_of_many_that_claim_the_pin_of_a_key_that_is_over_one_has_it(pins: PinStore):
    await pins.claim(make_pin("over", 100, valid_until=NOW), NOW - HOUR)
    claims = [pins.claim(make_pin(f"key-{n}", n, 100), NOW) for n in range(30)]
    assert sum(await asyncio.gather(*claims)) == 1
    assert await pins.find_of_key("over") is None


async def test_a_pin_is_in_use_until_its_key_is_over_and_no_longer(pins: PinStore):
    await pins.claim(make_pin("old", 7, valid_until=NOW), NOW - HOUR)
    just_before = NOW - timedelta(milliseconds=1)
    assert not await pins.claim(make_pin("new", 7), just_before)
    assert await pins.claim(make_pin("new", 7), NOW)
    assert await pins.find_of_key("old") is None


async def test_a_key_that_is_over_at_one_lock_does_not_free_the_pin_at_another(pins: PinStore):
    await pins.claim(make_pin("over", 7, valid_until=NOW), NOW - HOUR)
    await pins.claim(make_pin("live", 8), NOW)
    assert not await pins.claim(make_pin("new", 7, 8), NOW)
    assert await pins.find_of_key("live") is not None


async def test_a_freed_pin_may_be_claimed_again(pins: PinStore):
    await pins.claim(make_pin("first", 7, 8), NOW)
    await pins.free("first")
    await pins.free("first")
    assert await pins.find(7, "7/482913") is None
    assert await pins.claim(make_pin("second", 8), NOW)


async def test_a_prolonged_pin_is_kept_for_longer_and_never_for_less(pins: PinStore):
    await pins.claim(make_pin("key", 7, valid_until=NOW), NOW - HOUR)
    assert await pins.prolong("key", NOW + HOUR)
    assert await pins.prolong("key", NOW - HOUR)
    assert not await pins.claim(make_pin("other", 7), NOW)
    assert await pins.claim(make_pin("other", 7), NOW + HOUR)


async def test_only_a_pin_that_is_there_is_prolonged(pins: PinStore):
    assert not await pins.prolong("key", NOW)
    assert await pins.find_of_key("key") is None


async def test_mongodb_itself_forgets_pins_of_keys_that_are_over(database: Database):
    indexes = await database["pins"].index_information()
    forgetting = [index for index in indexes.values() if "expireAfterSeconds" in index]
    assert [index["key"] for index in forgetting] == [[("validUntil", 1)]]


async def test_a_pin_is_looked_up_by_an_index(database: Database, pins: PinStore):
    await pins.claim(make_pin("key", 7), NOW)
    wanted = {"locks": {"$elemMatch": {"lockId": 7, "digest": "7/482913"}}}
    plan = await database["pins"].find(wanted).explain()
    winner = plan["queryPlanner"]["winningPlan"]["inputStage"]
    bounds = winner["indexBounds"]
    assert winner["stage"] == "IXSCAN"
    assert bounds["locks.lockId"] == ["[7, 7]"]
    assert bounds["locks.digest"] == ['["7/482913", "7/482913"]']
