"""Temp keys under their lock, beyond the rows of the contract's table."""

from datetime import timedelta
from typing import Any

from server import clock
from server.domain.secrets import new_uuid
from server.domain.times import wire_time
from tests.house import House, Page


def wanted(key_uuid: str, **changes: Any) -> dict[str, Any]:
    """A body of create-temp-key that nobody can object to."""
    now = clock.now()
    fields = {
        "tempKeyUuid": key_uuid,
        "accessMode": "public",
        "validFrom": wire_time(now),
        "validUntil": wire_time(now + timedelta(hours=1)),
    }
    return {name: value for name, value in (fields | changes).items() if value is not ...}


async def create(house: House, lock_id: int, key_uuid: str, **changes: Any) -> Page:
    """Issue a key of a lock."""
    body = wanted(key_uuid, **changes)
    return await house.manage("POST", f"/locks/{lock_id}/create-temp-key", body)


async def test_versions_grow_by_one_with_every_command(house: House) -> None:
    lock = await house.lock()
    replies = [(await create(house, lock.lock_id, new_uuid())).json() for _ in range(3)]
    first = replies[0]["version"]
    assert [reply["version"] for reply in replies] == [first, first + 1, first + 2]


async def test_a_uuid_that_is_taken_is_refused_and_changes_nothing(house: House) -> None:
    lock = await house.lock()
    key_uuid = new_uuid()
    await create(house, lock.lock_id, key_uuid)
    again = await create(house, lock.lock_id, key_uuid, maxUses=9)
    assert again.status == 400
    assert "tempKeyUuid" in again.json()["message"]
    listed = (await house.manage("GET", f"/locks/{lock.lock_id}/temp-keys")).json()["tempKeys"]
    assert [key["maxUses"] for key in listed] == [None]


async def test_a_key_of_another_lock_is_not_found_under_this_one(house: House) -> None:
    front, back = await house.lock(), await house.lock("Back door")
    key_uuid = new_uuid()
    await create(house, front.lock_id, key_uuid)
    reply = await house.manage(
        "POST", f"/locks/{back.lock_id}/delete-temp-key", {"tempKeyUuid": key_uuid}
    )
    assert reply.status == 404
    assert reply.json()["reason"] == "temp_key_not_found"


async def test_the_list_shows_what_each_key_is_now(house: House) -> None:
    lock = await house.lock()
    later = clock.now() + timedelta(hours=1)
    await create(
        house,
        lock.lock_id,
        new_uuid(),
        validFrom=wire_time(later),
        validUntil=wire_time(later + timedelta(hours=1)),
    )
    await create(house, lock.lock_id, new_uuid())
    listed = (await house.manage("GET", f"/locks/{lock.lock_id}/temp-keys")).json()["tempKeys"]
    assert [key["status"] for key in listed] == ["valid", "not-yet-valid"]
    assert listed[0]["lockId"] == lock.lock_id
    assert "description" not in listed[0]


async def test_what_is_required_is_required(house: House) -> None:
    lock = await house.lock()
    for missing in ("tempKeyUuid", "accessMode", "validFrom", "validUntil"):
        reply = await create(house, lock.lock_id, new_uuid(), **{missing: ...})
        assert reply.status == 400
        assert missing in reply.json()["message"]
