"""The fleet over HTTP: settings, readings, and lists in pages."""

import csv
import io
from typing import Any
from urllib.parse import quote

import pytest

from server.domain.times import parse_wire_time
from tests.handlers.asking import Callers, next_of, walk
from tests.house import House
from tests.journeys.bare_lock import BareLock

# Lists in pages


async def test_locks_are_listed_in_pages(house: House):
    devices = [await house.device() for _ in range(5)]
    locks = await walk(house, "/locks?limit=2", "locks")
    assert [lock["id"] for lock in locks] == [device.lock_id for device in devices]


async def test_commands_are_listed_in_pages_newest_first(house: House):
    lock = await house.lock()
    for _ in range(5):
        await house.manage("POST", f"/locks/{lock.lock_id}/OpenLock", {})
    everything = await house.commands_of(lock)
    paged = await walk(house, f"/locks/{lock.lock_id}/commands?limit=2", "commands")
    assert len(paged) == 5
    assert paged == everything


async def test_a_list_that_fits_has_no_next_page(house: House):
    await house.device()
    assert next_of(await house.manage("GET", "/locks")) is None


# Settings


async def test_settings_are_changed_one_by_one(house: House):
    device = await house.device("Front door", "Europe/Rome")
    path = f"/locks/{device.lock_id}"
    for body in (
        {"name": "Gate"},
        {"timeZone": "America/Lima"},
        {"openForSeconds": 7.5},
        {"openConfirmation": True},
        {"heartbeatSeconds": 30},
    ):
        page = await house.manage("PATCH", path, body)
        assert page.status == 200
        assert body.items() <= page.json().items()
        assert (await house.manage("GET", path)).json() == page.json()
    shown = (await house.manage("PATCH", path, {"heartbeatSeconds": None})).json()
    assert (shown["name"], shown["heartbeatSeconds"]) == ("Gate", None)


@pytest.mark.parametrize(
    "body",
    [
        {"timeZone": "Mars/Olympus"},
        {"timeZone": "../etc/passwd"},
    ],
)
async def test_settings_that_cannot_be_are_refused(house: House, body: dict[str, Any]):
    device = await house.device()
    page = await house.manage("PATCH", f"/locks/{device.lock_id}", body)
    assert page.status == 400
    assert next(iter(body)) in page.json()["message"]


async def test_settings_are_for_those_who_manage_the_lock(house: House):
    callers = await Callers.of(house)
    device = await house.device()
    for who, expected in (("nobody", 401), ("other organisation", 404), ("other owner", 404)):
        page = await callers.ask(who, "PATCH", f"/locks/{device.lock_id}", {"name": "Mine"})
        assert page.status == expected, who


async def test_a_connected_lock_opens_for_as_long_as_was_just_set(house: House):
    bare = BareLock(house.url, await house.device())
    async with bare.online() as connection:
        await house.manage("PATCH", f"/locks/{bare.lock_id}", {"openForSeconds": 9})
        await house.tap_open(await house.key(bare))
        assert (await connection.hear("command"))["openForSeconds"] == 9


async def test_a_heartbeat_of_its_own_holds_from_the_next_connection(house: House):
    bare = BareLock(house.url, await house.device())
    await house.manage("PATCH", f"/locks/{bare.lock_id}", {"heartbeatSeconds": 30})
    async with bare.online() as connection:
        welcome = connection.welcome
    assert (welcome["heartbeatSeconds"], welcome["offlineAfterSeconds"]) == (30, 65)


# Readings


async def with_readings(house: House, count: int) -> BareLock:
    bare = BareLock(house.url, await house.device())
    async with bare.online() as connection:
        for seq in range(1, count + 1):
            await connection.reading(seq, battery=seq, door="closed")
            while (await connection.hear("ack"))["seq"] < seq:
                pass
    return bare


async def readings(house: House, lock: BareLock, query: str = "") -> list[dict[str, Any]]:
    page = await house.manage("GET", f"/locks/{lock.lock_id}/telemetry?{query}")
    assert page.status == 200, page.json()
    return page.json()["telemetry"]


async def test_readings_come_newest_first(house: House):
    lock = await with_readings(house, 3)
    found = await readings(house, lock)
    assert [reading["seq"] for reading in found] == [3, 2, 1]
    assert set(found[0]) == {"seq", "epoch", "at", "receivedAt", "battery", "door"}
    assert (found[0]["battery"], found[0]["door"]) == (3, "closed")
    assert [reading["seq"] for reading in await readings(house, lock, "limit=2")] == [3, 2]


async def test_readings_of_a_time_are_those_that_came_in_then(house: House):
    lock = await with_readings(house, 3)
    newest, middle, oldest = await readings(house, lock)
    since, until = (quote(one["receivedAt"]) for one in (middle, newest))
    found = await readings(house, lock, f"from={since}")
    assert [reading["seq"] for reading in found] == [3, 2]
    if parse_wire_time(middle["receivedAt"]) < parse_wire_time(newest["receivedAt"]):
        found = await readings(house, lock, f"until={until}")
        assert [reading["seq"] for reading in found] == [2, oldest["seq"]]


async def test_readings_are_a_table_where_that_is_asked_for(house: House):
    lock = await with_readings(house, 2)
    page = await house.fetch(
        f"/locks/{lock.lock_id}/telemetry", X_API_Key=house.api_key, Accept="text/csv"
    )
    assert page.response.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(page.response.body.decode())))
    assert [(row["seq"], row["battery"], row["rssi"]) for row in rows] == [
        ("2", "2.0", ""),
        ("1", "1.0", ""),
    ]


async def test_a_locks_own_word_is_no_formula_in_a_table(house: House):
    bare = BareLock(house.url, await house.device())
    async with bare.connection() as connection:
        await connection.hello(epoch="=1+1")
        await connection.reading(1, rssi=-60)
        await connection.hear("ack")
    page = await house.fetch(
        f"/locks/{bare.lock_id}/telemetry", X_API_Key=house.api_key, Accept="text/csv"
    )
    [row] = csv.DictReader(io.StringIO(page.response.body.decode()))
    assert (row["epoch"], row["rssi"]) == ("'=1+1", "-60")


@pytest.mark.parametrize(
    "query",
    [
        "from=1764000000",
        "until=null",
        "until=0001-01-01T00:00:00%2B14:00",
    ],
)
async def test_a_question_for_readings_past_its_limits_is_refused(house: House, query: str):
    device = await house.device()
    page = await house.manage("GET", f"/locks/{device.lock_id}/telemetry?{query}")
    assert page.status == 400
