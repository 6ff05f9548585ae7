"""Two connections of one lock, at one node or at two: one stays, and the lock stays online."""

import asyncio
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from server.storage.mongo import Database
from tests.faults.processes import Site, Town
from tests.house import Device, command_id_of, until
from tests.journeys.bare_lock import BareConnection, BareLock

RACES = 100
FLAPS = 50


@pytest.fixture(params=["at one node", "at two nodes"])
def sites(request: pytest.FixtureRequest, quiet_town: Town) -> tuple[Site, Site]:
    """Where the one connection is, and where the other."""
    here, there = quiet_town
    return (here, here) if request.param == "at one node" else (here, there)


async def new_device(site: Site) -> Device:
    return (await site.locks()).all[0]


async def the_one_that_stays(*connections: BareConnection) -> BareConnection:
    """Wait until the server has closed one of two connections as superseded; the other."""
    closings = {asyncio.create_task(each.closed()): each for each in connections}
    done, others = await asyncio.wait(closings, return_when=asyncio.FIRST_COMPLETED)
    for closing in others:
        closing.cancel()
    assert [closing.result() for closing in done] == [4000]
    [closing] = others
    return closings[closing]


async def test_of_two_connections_that_say_hello_at_once_exactly_one_stays(
    sites: tuple[Site, Site], database_of_nodes: Database
) -> None:
    device = await new_device(sites[0])
    locks = [BareLock(site.url, device) for site in sites]
    for _ in range(RACES):
        async with locks[0].connection() as one, locks[1].connection() as other:
            await asyncio.gather(one.hello_or_closed(), other.hello_or_closed())
            staying = await the_one_that_stays(one, other)
            stored = await database_of_nodes["locks"].find_one({"_id": device.lock_id})
            assert stored is not None
            assert stored["connection"]["sessionId"] == staying.welcome["sessionId"]
            assert stored["connection"]["online"]
            assert await staying.still_answers()


async def test_the_late_goodbye_of_an_old_connection_never_marks_the_lock_offline(
    sites: tuple[Site, Site],
) -> None:
    device = await new_device(sites[0])
    older, newer = [BareLock(site.url, device) for site in sites]
    for _ in range(RACES):
        async with older.online() as old, newer.connection() as new:
            await asyncio.gather(new.hello(), old.socket.close(1000))
            assert await new.still_answers()
            assert (await sites[1].connection(device))["online"]


async def test_the_results_of_a_superseded_connection_do_not_count(
    sites: tuple[Site, Site],
) -> None:
    device = await new_device(sites[0])
    older, newer = [BareLock(site.url, device) for site in sites]
    key = await sites[0].key(device)
    async with older.online() as old, newer.online() as new:
        tapped = await sites[0].tap_open(key)
        command = await new.hear("command")
        with suppress(ConnectionClosed):
            await old.result(command["id"], "opened")
        assert await old.closed() == 4000
        await new.result(command["id"], "refused", reason="jammed")
        stored = await sites[0].until_state(command_id_of(tapped), "refused")
    assert [step["state"] for step in stored["history"]] == ["queued", "sent", "refused"]


async def test_a_lock_that_flaps_leaves_events_in_order_numbered_without_a_gap_and_none_twice(
    sites: tuple[Site, Site],
) -> None:
    site, _ = sites
    device = await new_device(site)
    locks = [BareLock(each.url, device) for each in sites]
    for flap in range(FLAPS):
        async with locks[flap % 2].online():
            pass
    await site.until_offline(device)

    async def told() -> list[dict[str, Any]] | None:
        page = await site.manage("GET", f"/events?limit=500&lockId={device.lock_id}")
        events = page.json()["events"]
        types = [event["type"] for event in events]
        return events if types.count("LockOnline") == FLAPS and types[-1] == "LockOffline" else None

    events = await until(told)
    versions = [event["version"] for event in events]
    assert versions == list(range(versions[0], versions[0] + len(events)))
    assert len({event["id"] for event in events}) == len(events)
    presence = [event for event in events if event["type"] in ("LockOnline", "LockOffline")]
    times = [event["event"]["timestamp"] for event in presence]
    assert times == sorted(times)
    for before, after in pairwise(event["type"] for event in presence):
        assert before == "LockOnline" or after == "LockOnline"  # never offline twice
