"""A lock that belongs to another organisation by now is opened by no key from before."""

from server.domain.temp_keys import TempKey
from server.storage.mongo import Database
from tests.house import House, Page


async def give_away(house: House, database: Database, lock_id: int) -> None:
    other = await house.services.provisioning.create_organization("Other house")
    await database["locks"].update_one({"_id": lock_id}, {"$set": {"orgId": other.id}})


async def tap_as_a_program(house: House, key: TempKey) -> Page:
    """A program asks its user itself, so it is asked nothing."""
    return await house.fetch(f"/temp-keys/{key.uuid}/doors/1/open", method="POST", body="")


async def test_a_lock_that_was_given_away_is_not_opened_by_its_former_keys(
    house: House, database: Database
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await give_away(house, database, lock.lock_id)
        answers = [await house.tap_open(key), await tap_as_a_program(house, key)]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[1].json()["reason"] == "lock_not_found"
    assert lock.openings == []
    assert (await house.services.temp_keys.find(house.operator, key.uuid)).used_count == 0


async def test_of_a_revoked_key_it_is_told_first_that_it_is_revoked(
    house: House, database: Database
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    await give_away(house, database, lock.lock_id)
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    tapped = await tap_as_a_program(house, key)
    assert (tapped.status, tapped.json()["reason"]) == (400, "key_revoked")
