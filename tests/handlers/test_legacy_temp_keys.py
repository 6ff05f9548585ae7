"""Temp keys under their lock, as a client of the API's older commands uses them."""

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


async def test_a_key_is_created_under_the_uuid_of_the_caller(house: House) -> None:
    lock = await house.lock()
    key_uuid = new_uuid()
    reply = (await create(house, lock.lock_id, key_uuid, maxUses=3)).json()
    assert reply["success"] is True
    assert reply["aggregateId"] == str(lock.lock_id)
    assert reply["tempKeyUuid"] == key_uuid
    assert reply["event"]["type"] == "TempKeyCreated"
    assert reply["event"]["data"]["maxUses"] == 3
    assert (await house.visit(f"/temp-keys/{key_uuid}")).status == 200


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


async def test_an_update_tells_only_what_changed(house: House) -> None:
    lock = await house.lock()
    key_uuid = new_uuid()
    await create(house, lock.lock_id, key_uuid, maxUses=3)
    reply = await house.manage(
        "POST",
        f"/locks/{lock.lock_id}/update-temp-key",
        {"tempKeyUuid": key_uuid, "maxUses": None},
    )
    assert reply.json()["event"]["type"] == "TempKeyUpdated"
    assert reply.json()["event"]["data"]["changes"] == {"maxUses": None}


async def test_an_update_that_changes_nothing_has_no_event(house: House) -> None:
    lock = await house.lock()
    key_uuid = new_uuid()
    created = await create(house, lock.lock_id, key_uuid, maxUses=3)
    reply = await house.manage(
        "POST", f"/locks/{lock.lock_id}/update-temp-key", {"tempKeyUuid": key_uuid, "maxUses": 3}
    )
    assert reply.json()["event"] is None
    assert reply.json()["version"] == created.json()["version"]


async def test_a_deleted_key_leaves_the_list_of_its_lock(house: House) -> None:
    lock = await house.lock()
    key_uuid = new_uuid()
    await create(house, lock.lock_id, key_uuid)
    path, body = f"/locks/{lock.lock_id}/delete-temp-key", {"tempKeyUuid": key_uuid}
    deleted = await house.manage("POST", path, body)
    again = await house.manage("POST", path, body)
    listed = await house.manage("GET", f"/locks/{lock.lock_id}/temp-keys")
    assert deleted.json()["event"]["type"] == "TempKeyDeleted"
    assert again.status == 200
    assert again.json()["event"] is None
    assert listed.json() == {"tempKeys": []}


async def test_a_use_is_counted_until_there_is_none_left(house: House) -> None:
    lock = await house.lock()
    key_uuid = new_uuid()
    await create(house, lock.lock_id, key_uuid, maxUses=1)
    path, body = f"/locks/{lock.lock_id}/use-temp-key", {"tempKeyUuid": key_uuid, "userId": "ann"}
    used = await house.manage("POST", path, body)
    refused = await house.manage("POST", path, body)
    assert used.json()["event"]["data"]["usedCount"] == 1
    assert used.json()["event"]["data"]["userId"] == "ann"
    assert refused.status == 400
    assert refused.json()["reason"] == "key_used_up"


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
