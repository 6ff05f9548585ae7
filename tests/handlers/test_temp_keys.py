"""Issuing, listing and revoking temp keys over HTTP."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from server import clock
from server.domain.times import wire_time
from simulator.simulated_lock import SimulatedLock
from tests.handlers.asking import next_of, walk
from tests.house import House


def in_hours(hours: float) -> str:
    return wire_time(clock.now() + timedelta(hours=hours))


def wanted(lock: SimulatedLock, **fields: Any) -> dict[str, Any]:
    """A good request for a key, with some of its fields changed."""
    return {
        "validFrom": in_hours(-1),
        "validUntil": in_hours(1),
        "doors": [{"lockId": lock.lock_id}],
    } | fields


def door(lock: SimulatedLock, **fields: Any) -> list[dict[str, Any]]:
    return [{"lockId": lock.lock_id} | fields]


@pytest.fixture
def neighbour(io_loop: IOLoop, house: House, tmp_path: Path) -> Iterator[House]:
    """Another organisation on the same server."""
    neighbour = io_loop.run_sync(lambda: House.build(house.services, house.url, tmp_path))
    yield neighbour
    io_loop.run_sync(neighbour.close)


# Issuing


async def test_a_key_is_issued_with_the_path_of_its_page(house: House):
    lock = await house.lock()
    valid_from, valid_until = in_hours(-1), in_hours(1)
    issued = await house.manage(
        "POST",
        "/temp-keys",
        wanted(
            lock,
            validFrom=valid_from,
            validUntil=valid_until,
            doors=door(lock, label="Front") + door(lock, lockId=str(lock.lock_id)),
        ),
    )
    assert issued.status == 201
    key = issued.json()
    assert key["success"] is True
    assert key["url"] == f"/temp-keys/{key['uuid']}"
    assert (key["validFrom"], key["validUntil"]) == (valid_from, valid_until)
    assert key["pin"] is None
    assert [(door["id"], door["lockId"], door["label"]) for door in key["doors"]] == [
        (1, str(lock.lock_id), "Front"),
        (2, str(lock.lock_id), None),
    ]
    assert {door["accessMethod"] for door in key["doors"]} == {"key"}
    assert (await house.visit(key["url"])).status == 200


async def test_a_new_key_is_answered_as_it_was_understood(house: House):
    fields: dict[str, Any] = {
        "maxUses": 3,
        "description": "For Anna",
        "accessMode": "user-whitelist",
        "allowedUserIds": ["anna"],
        "schedule": [{"days": ["mon"], "from": "08:00", "until": "17:00"}],
    }
    lock = await house.lock()
    asked = (await house.manage("POST", "/temp-keys", wanted(lock, **fields))).json()
    misspelt = (await house.manage("POST", "/temp-keys", wanted(lock, maxUsess=3))).json()
    assert {name: asked[name] for name in fields} == fields
    assert misspelt["maxUses"] is None


async def test_a_time_may_be_written_with_any_offset(house: House):
    lock = await house.lock()
    until = clock.now() + timedelta(hours=1)
    written = until.isoformat().replace("+00:00", "-00:00")
    issued = await house.manage("POST", "/temp-keys", wanted(lock, validUntil=written))
    assert issued.json()["validUntil"] == wire_time(until)


async def test_every_value_at_its_limit_is_taken(house: House):
    lock = await house.lock()
    good: list[dict[str, Any]] = [
        {"description": None},
        {"description": ""},
        {"description": "x" * 2000},
        {"description": "🔑é"},
        {"maxUses": None},
        {"maxUses": 1},
        {"maxUses": 2**31 - 1},
        {"doors": door(lock, label="x" * 120)},
        {"doors": door(lock, label=None)},
        {"doors": door(lock) * 50},
        {"accessMode": "public", "allowedUserIds": []},
        {"accessMode": "user-whitelist", "allowedUserIds": ["a"]},
        {"accessMode": "user-whitelist", "allowedUserIds": ["x" * 200] * 1000},
        {"validFrom": in_hours(0), "validUntil": in_hours(24 * 365 * 5)},
        {"colour": "unknown fields are passed over"},
    ]
    for fields in good:
        issued = await house.manage("POST", "/temp-keys", wanted(lock, **fields))
        assert issued.status == 201, (str(fields)[:80], issued.json())


async def test_what_no_key_may_be_is_refused_and_named(house: House):
    lock = await house.lock()
    bad: list[tuple[str, dict[str, Any]]] = [
        ("validUntil", {"validUntil": in_hours(-2)}),
        ("validUntil", {"validFrom": in_hours(-3), "validUntil": in_hours(-2)}),
        ("validUntil", {"validFrom": in_hours(1), "validUntil": in_hours(1)}),
        ("validUntil", {"validUntil": in_hours(24 * 366 * 5 + 1)}),
        ("validUntil", {"validUntil": "9999-12-31T23:59:59-23:59"}),
        ("validUntil", {"validFrom": "0001-01-01T00:00:00+23:59"}),
        ("doors[1].lockId", {"doors": door(lock) + door(lock, lockId="one")}),
        ("allowedUserIds", {"accessMode": "user-whitelist"}),
        ("allowedUserIds", {"accessMode": "user-whitelist", "allowedUserIds": []}),
    ]
    for field, fields in bad:
        refused = await house.manage("POST", "/temp-keys", wanted(lock, **fields))
        assert refused.status == 400, fields
        assert refused.json()["reason"] == "invalid_input"
        assert field in refused.json()["message"], (fields, refused.json())
    listed = await house.manage("GET", "/temp-keys")
    assert listed.json() == {"tempKeys": []}


@pytest.mark.parametrize("field", ["validFrom", "validUntil", "doors"])
async def test_a_field_that_is_needed_is_named_where_it_is_missing(house: House, field: str):
    fields = wanted(await house.lock())
    del fields[field]
    refused = await house.manage("POST", "/temp-keys", fields)
    assert refused.status == 400
    assert field in refused.json()["message"]


async def test_a_key_for_a_lock_that_is_not_there_is_404(house: House):
    lock = await house.lock()
    refused = await house.manage("POST", "/temp-keys", wanted(lock, doors=door(lock, lockId=99)))
    assert (refused.status, refused.json()["reason"]) == (404, "lock_not_found")


async def test_a_key_for_another_organisations_lock_is_404(house: House, neighbour: House):
    mine, theirs = await house.lock(), await neighbour.lock()
    doors = door(mine) + door(theirs)
    refused = await house.manage("POST", "/temp-keys", wanted(mine, doors=doors))
    assert (refused.status, refused.json()["reason"]) == (404, "lock_not_found")


# Listing


async def test_the_organisations_keys_are_listed_newest_first(house: House):
    lock = await house.lock()
    keys = [await house.key(lock, description=f"Guest {number}") for number in range(3)]
    listed = (await house.manage("GET", "/temp-keys")).json()["tempKeys"]
    assert {key["uuid"] for key in listed} == {key.uuid for key in keys}
    assert [key["createdAt"] for key in listed] == sorted(
        [key["createdAt"] for key in listed], reverse=True
    )
    [first] = [key for key in listed if key["uuid"] == keys[0].uuid]
    assert first["url"] == f"/temp-keys/{keys[0].uuid}"
    assert (first["description"], first["createdBy"]) == ("Guest 0", "test")
    assert (first["revokedAt"], first["maxUses"], first["usedCount"]) == (None, None, 0)
    assert first["doors"][0]["lockId"] == str(lock.lock_id)


async def test_the_keys_of_one_lock_are_those_with_a_door_of_it(house: House):
    front, back = await house.lock("Front"), await house.lock("Back")
    await house.key(front)
    both = await house.key(front, back)
    listed = await house.manage("GET", f"/temp-keys?lockId={back.lock_id}")
    assert [key["uuid"] for key in listed.json()["tempKeys"]] == [both.uuid]


@pytest.mark.parametrize("which", ["/temp-keys?", "/temp-keys?lockId={}&", "/locks/{}/temp-keys?"])
async def test_keys_are_listed_whole_or_in_pages_of_the_same_order(house: House, which: str):
    lock = await house.lock()
    await asyncio.gather(*(house.key(lock) for _ in range(7)))
    url = which.format(lock.lock_id)
    whole = await house.manage("GET", url)
    assert len(whole.json()["tempKeys"]) == 7
    assert next_of(whole) is None
    assert await walk(house, f"{url}limit=2", "tempKeys") == whole.json()["tempKeys"]


async def test_a_key_that_is_revoked_between_two_pages_makes_none_be_skipped(house: House):
    lock = await house.lock()
    keys = [await house.key(lock) for _ in range(4)]
    first = await house.manage("GET", f"/locks/{lock.lock_id}/temp-keys?limit=2")
    await house.manage("DELETE", f"/temp-keys/{keys[2].uuid}")
    rest = await walk(house, next_of(first), "tempKeys")
    assert [key["uuid"] for key in rest] == [keys[1].uuid, keys[0].uuid]


async def test_a_page_goes_on_with_the_usual_length_where_none_is_said(house: House):
    lock = await house.lock()
    await house.key(lock)
    newest = await house.key(lock)
    first = await house.manage("GET", "/temp-keys?limit=1")
    url = next_of(first)
    assert url is not None
    rest = await house.manage("GET", url.replace("limit=1&", ""))
    assert newest.uuid not in [key["uuid"] for key in rest.json()["tempKeys"]]
    assert len(rest.json()["tempKeys"]) == 1


async def test_the_keys_of_another_organisations_lock_are_404(house: House, neighbour: House):
    theirs = await neighbour.lock()
    listed = await house.manage("GET", f"/temp-keys?lockId={theirs.lock_id}")
    assert (listed.status, listed.json()["reason"]) == (404, "lock_not_found")


async def test_another_organisations_keys_are_not_listed(house: House, neighbour: House):
    await neighbour.key(await neighbour.lock())
    assert (await house.manage("GET", "/temp-keys")).json() == {"tempKeys": []}


# Revoking


async def test_a_key_that_is_revoked_opens_nothing_and_stays_in_the_list(house: House):
    key = await house.key(await house.lock())
    revoked = await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    assert (revoked.status, revoked.json()) == (200, {"success": True, "uuid": key.uuid})
    tapped = await house.fetch(f"/temp-keys/{key.uuid}/open", "POST", "")
    assert (tapped.status, tapped.json()["reason"]) == (400, "key_revoked")
    [listed] = (await house.manage("GET", "/temp-keys")).json()["tempKeys"]
    assert listed["revokedAt"] is not None


async def test_a_key_that_was_revoked_before_is_said_to_be(house: House):
    key = await house.key(await house.lock())
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    [before] = (await house.manage("GET", "/temp-keys")).json()["tempKeys"]
    again = await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    [after] = (await house.manage("GET", "/temp-keys")).json()["tempKeys"]
    assert again.status == 200
    assert again.json() == {"success": True, "uuid": key.uuid, "alreadyRevoked": True}
    assert after == before


async def test_a_key_that_is_not_there_cannot_be_revoked(house: House):
    revoked = await house.manage("DELETE", "/temp-keys/nowhere")
    assert (revoked.status, revoked.json()["reason"]) == (404, "temp_key_not_found")


async def test_another_organisations_key_cannot_be_revoked_and_looks_like_none(
    house: House, neighbour: House
):
    key = await neighbour.key(await neighbour.lock())
    revoked = await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    nowhere = await house.manage("DELETE", "/temp-keys/nowhere")
    assert revoked.status == 404
    assert revoked.response.body == nowhere.response.body
    [listed] = (await neighbour.manage("GET", "/temp-keys")).json()["tempKeys"]
    assert listed["revokedAt"] is None


async def test_who_holds_the_link_cannot_revoke_the_key(house: House):
    key = await house.key(await house.lock())
    assert (await house.fetch(f"/temp-keys/{key.uuid}", "DELETE")).status == 401
