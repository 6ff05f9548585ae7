"""The organisation's events in order, for replay."""

import asyncio
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.handlers.asking import Callers, next_of
from tests.house import Device, House, until


@pytest.fixture
def callers(io_loop: IOLoop, house: House) -> Callers:
    return io_loop.run_sync(lambda: Callers.of(house))


async def add_keys(house: House, device: Device, *keys: str) -> None:
    for key in keys:
        path = f"/locks/{device.lock_id}/AddKey"
        assert (await house.manage("POST", path, {"keyUuid": key})).status == 200


async def replay(house: House, count: int, query: str = "") -> list[dict[str, Any]]:
    """The events from the beginning, once there are ``count`` of them."""

    async def look() -> list[dict[str, Any]] | None:
        events = (await house.manage("GET", f"/events?limit=500{query}")).json()["events"]
        return events if len(events) >= count else None

    return await until(look)


def keys_in(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"]["keyUuid"] for event in events if event["type"] == "KeyAdded"]


async def test_events_of_all_locks_come_in_one_order(house: House):
    one, two = await house.device(), await house.device()
    for n in range(3):
        await add_keys(house, one, f"one-{n}")
        await add_keys(house, two, f"two-{n}")
    keys = keys_in(await replay(house, 6, "&type=KeyAdded"))
    assert [key for key in keys if key.startswith("one")] == ["one-0", "one-1", "one-2"]
    assert [key for key in keys if key.startswith("two")] == ["two-0", "two-1", "two-2"]


async def test_an_event_can_be_told_from_its_repeat(house: House):
    device = await house.device()
    await add_keys(house, device, "fob")
    [event] = await replay(house, 1, "&type=KeyAdded")
    [again] = await replay(house, 1, "&type=KeyAdded")
    assert event == again
    assert set(event) == {
        "id", "aggregateType", "aggregateId", "version", "type", "timestamp", "orgId", "event",
    }  # fmt: skip
    assert event["aggregateId"] == str(device.lock_id)


async def test_a_replay_goes_page_by_page_and_on_from_its_end(house: House):
    device = await house.device()
    await add_keys(house, device, *"abcde")
    await replay(house, 5, "&type=KeyAdded")
    url: str | None = "/events?type=KeyAdded&limit=2"
    keys: list[str] = []
    after = "0"
    while url is not None:
        page = await house.manage("GET", url)
        keys += keys_in(page.json()["events"])
        after = page.json()["after"]
        url = next_of(page)
    assert keys == list("abcde")
    await add_keys(house, device, "f")
    [event] = await replay(house, 1, f"&type=KeyAdded&after={after}")
    assert event["event"]["keyUuid"] == "f"


async def test_a_reader_behind_concurrent_writers_misses_nothing(house: House):
    devices = [await house.device() for _ in range(5)]
    wanted = {f"{device.lock_id}-{n}" for device in devices for n in range(10)}
    writing = asyncio.gather(
        *(
            add_keys(house, device, *(f"{device.lock_id}-{n}" for n in range(10)))
            for device in devices
        )
    )
    seen: list[str] = []
    after = "0"

    async def everything() -> bool:
        nonlocal after
        page = await house.manage("GET", f"/events?type=KeyAdded&limit=7&after={after}")
        seen.extend(keys_in(page.json()["events"]))
        after = page.json()["after"]
        return writing.done() and len(seen) >= len(wanted)

    await until(everything)
    await writing
    assert len(seen) == len(wanted)
    assert set(seen) == wanted


async def test_events_of_one_lock(house: House):
    one, two = await house.device(), await house.device()
    await add_keys(house, one, "one")
    await add_keys(house, two, "two")
    await replay(house, 2, "&type=KeyAdded")
    events = await replay(house, 1, f"&type=KeyAdded&lockId={two.lock_id}")
    assert keys_in(events) == ["two"]
    assert (await house.manage("GET", "/events?lockId=999")).status == 404


async def test_everybody_replays_their_own_events(house: House, callers: Callers):
    one, two = await house.device(), await house.device()
    await add_keys(house, one, "one")
    await add_keys(house, two, "two")
    path = f"/locks/{two.lock_id}/SetOwner"
    await house.manage("POST", path, {"userId": "owner"})
    await replay(house, 2, "&type=KeyAdded")
    for who, keys in (
        ("organisation", ["one", "two"]),
        ("super", ["one", "two"]),
        ("owner", ["two"]),
        ("other owner", []),
        ("other organisation", []),
    ):
        page = await callers.ask(who, "GET", "/events?type=KeyAdded")
        assert keys_in(page.json()["events"]) == keys, who
    assert (await callers.ask("nobody", "GET", "/events")).status == 401
