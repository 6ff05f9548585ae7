"""Locks that stand still, networks that go dead: shown offline in time, and never opened late."""

import asyncio
import json
from datetime import datetime

import psutil

from server import clock
from tests.faults.processes import Locks, Site
from tests.faults.proxy import in_front_of
from tests.house import command_id_of, until
from tests.journeys.bare_lock import BareLock

OFFLINE_AFTER_S = 4
TOO_SLOWLY_S = 2.1
DEATHS = {"both ways", "to the server", "to the lock"}
MEGABYTE = 1024 * 1024


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


async def test_a_lock_that_stands_still_is_shown_offline_in_time_and_comes_back(
    site: Site,
) -> None:
    await site.server.start(offline_after_s=str(OFFLINE_AFTER_S))
    lock = await site.lock_online()
    key = await site.key(lock)
    await lock.freeze()
    presence = await site.until_offline(lock)
    page = await site.visit(f"/temp-keys/{key.uuid}")
    lock.thaw()
    back = await site.until_online(lock)
    assert presence["offlineReason"] == "timeout"
    assert seconds_between(presence["lastSeenAt"], presence["since"]) <= OFFLINE_AFTER_S
    assert page.text(".chip") == "Offline"
    assert back["offlineReason"] is None


async def test_a_network_that_goes_dead_takes_the_lock_offline_until_it_lives_again(
    site: Site,
) -> None:
    await site.server.start(offline_after_s=str(OFFLINE_AFTER_S))
    locks = {dead: await site.locks() for dead in DEATHS}
    async with asyncio.TaskGroup() as at_once:
        for dead, lock in locks.items():
            at_once.create_task(die_and_live_again(site, lock, dead))


async def die_and_live_again(site: Site, lock: Locks, dead: str) -> None:
    """Let the network of a lock go dead in one of these ways, and live again."""
    async with in_front_of(("127.0.0.1", site.server.port)) as network:
        await lock.start(f"http://127.0.0.1:{network.port}")
        await site.until_online(lock)
        if dead != "to the lock":
            network.to_server.stall()
        if dead != "to the server":
            network.to_client.stall()
        presence = await site.until_offline(lock)
        network.flow()
        await network.cut()
        await site.until_online(lock)
        await lock.kill()
    assert presence["offlineReason"] == "timeout"
    assert seconds_between(presence["lastSeenAt"], presence["since"]) <= OFFLINE_AFTER_S


async def test_a_lock_that_sleeps_through_a_commands_life_refuses_it_when_it_wakes(
    site: Site,
) -> None:
    await site.server.start(offline_after_s="60")
    lock = await site.lock_online()
    key = await site.key(lock, max_uses=1)
    await lock.freeze()
    tapped = await site.tap_open(key)
    unanswered = await site.until_state(command_id_of(tapped), "unconfirmed")
    lock.thaw()
    refused = await site.until_state(command_id_of(tapped), "refused")
    assert [step["state"] for step in unanswered["history"]] == ["queued", "sent", "unconfirmed"]
    assert refused["reason"] == "expired"
    assert lock.openings() == []
    await site.until_used_count(key, 0)


async def test_a_lock_that_learns_the_time_too_slowly_refuses_to_open(site: Site) -> None:
    await site.server.start(offline_after_s="60", command_life_s="15")
    lock = await site.locks()
    async with in_front_of(("127.0.0.1", site.server.port)) as network:
        network.to_client.delay_s = TOO_SLOWLY_S
        await lock.start(f"http://127.0.0.1:{network.port}")
        await site.until_online(lock)
        tapped = await site.tap_open(await site.key(lock))
        refused = await site.until_state(command_id_of(tapped), "refused")
        page = await site.visit(tapped.location)
        await lock.kill()
    assert refused["reason"] == "clock"
    assert page.text("h1") == "The lock is setting its clock"
    assert lock.openings() == []


async def test_a_lock_that_never_reads_costs_the_server_neither_memory_nor_log(
    site: Site,
) -> None:
    await site.server.start(offline_after_s="60", frame_burst="1000000")
    locks = await site.locks()
    lock = BareLock(site.url, locks.all[0])
    server = psutil.Process(site.server.pid)
    async with lock.connection(receive_buffer=4096) as connection:
        await connection.hello()
        connection.stop_reading()
        memory, lines = server.memory_info().rss, len(site.server.output.splitlines())

        async def is_cut_off() -> bool:
            if connection.socket.transport.is_closing():
                return True
            connection.shout({"type": "x" * 60}, times=500)
            return not (await site.connection(lock))["online"]

        await until(is_cut_off, timeout_s=50)
    grown = server.memory_info().rss - memory
    said = [json.loads(line) for line in site.server.output.splitlines()[lines:]]
    said = [line for line in said if line["event"] != "request"]
    assert grown < 32 * MEGABYTE
    assert len(said) < 20


async def test_the_life_of_a_command_is_over_before_a_lock_that_was_away_hears_of_it(
    site: Site,
) -> None:
    await site.server.start()
    lock = await site.locks()
    key = await site.key(lock)
    tapped = await site.tap_open(key)
    expired = await site.until_state(command_id_of(tapped), "expired")
    await lock.start(site.url)
    await site.until_online(lock)
    assert clock.now() > datetime.fromisoformat(expired["expiresAt"])
    assert lock.openings() == []
