"""Arrivals at risk: keys that begin within three days, on doors that are in trouble."""

from datetime import timedelta

from server import clock
from tests.handlers.asking import token_of
from tests.handlers.dashboard.desk import Desk
from tests.house import House


async def test_a_key_that_begins_soon_on_a_door_in_trouble_is_at_risk(house: House):
    lock = await house.lock("Garden gate")
    now = clock.now()
    days = {"valid_until": now + timedelta(days=9)}
    begins = now + timedelta(hours=71)
    soon = await house.key(lock, valid_from=begins, description="Ms Lind", **days)
    await house.key(lock, valid_from=now + timedelta(hours=73), **days)
    await house.key(lock)  # has begun already
    revoked = await house.key(lock, valid_from=now + timedelta(minutes=5))
    await house.services.temp_keys.revoke(house.operator, revoked.uuid)
    (arrival,) = (await house.manage("GET", "/temp-keys/at-risk")).json()["arrivals"]
    assert arrival["uuid"] == soon.uuid
    (door,) = arrival["doors"]
    assert (door["lockName"], door["troubles"]) == ("Garden gate", ["neverOnline"])
    page = await (await Desk.of(house)).visit("/dashboard/arrivals")
    assert page.text("h1") == "1 arrival at risk"
    assert page.text("tbody th a") == "Ms Lind"


async def test_nothing_is_at_risk_while_all_doors_are_fine(house: House):
    lock = await house.lock()
    await house.key(lock, valid_from=clock.now() + timedelta(minutes=5))
    async with lock.connected():
        assert (await house.manage("GET", "/temp-keys/at-risk")).json() == {"arrivals": []}
        page = await (await Desk.of(house)).visit("/dashboard/arrivals")
        assert page.text("h1") == "No arrival is at risk"


async def test_of_several_doors_those_in_trouble_are_named_and_soonest_is_first(house: House):
    good, bad = await house.lock("Good"), await house.lock("Bad")
    now = clock.now()
    late = await house.key(bad, valid_from=now + timedelta(minutes=40))
    both = await house.key(good, bad, valid_from=now + timedelta(minutes=5))
    async with good.connected():
        arrivals = (await house.manage("GET", "/temp-keys/at-risk")).json()["arrivals"]
    assert [arrival["uuid"] for arrival in arrivals] == [both.uuid, late.uuid]
    assert [door["id"] for door in arrivals[0]["doors"]] == [2]


async def test_an_owner_is_told_of_their_own_locks_alone(house: House):
    mine, other = await house.device("Mine"), await house.device("Other")
    await house.manage("POST", f"/locks/{mine.lock_id}/SetOwner", {"userId": "ann"})
    soon = clock.now() + timedelta(minutes=5)
    key = await house.key(mine, valid_from=soon)
    await house.key(other, valid_from=soon)
    asked = await house.fetch("/temp-keys/at-risk", Authorization=f"Bearer {token_of('ann')}")
    assert [arrival["uuid"] for arrival in asked.json()["arrivals"]] == [key.uuid]
