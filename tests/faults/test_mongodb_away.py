"""MongoDB away, standing still or answering too late: told, bounded, and made good afterwards."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from server.storage import mongo
from tests.faults.processes import Site, freeze
from tests.faults.proxy import Proxy, mongodb_command
from tests.house import command_id_of, until
from tests.journeys.bare_lock import BareLock

CLAIMS_A_USE = mongodb_command("findAndModify", "tempKeys")
"""The write that takes a use of a key."""


async def ready(site: Site) -> bool:
    return (await site.fetch("/health/ready")).status == 200


@asynccontextmanager
async def frozen(database: mongo.Database) -> AsyncIterator[None]:
    """The tests' own MongoDB, standing still."""
    pid = int((await database.command("serverStatus"))["pid"])
    await freeze(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_without_mongodb_the_server_lives_is_not_ready_and_recovers_by_itself(
    site: Site, to_mongodb: Proxy
) -> None:
    await to_mongodb.keep_out()
    await site.server.start(mongodb_timeout_s="1")
    live, not_ready = await site.fetch("/health/live"), await site.fetch("/health/ready")
    health = await site.fetch("/health")
    await to_mongodb.let_in()
    assert (live.status, not_ready.status, health.status) == (200, 503, 503)
    assert health.json()["mongodb"]["ok"] is False
    assert await until(lambda: ready(site))
    lock = await site.lock_online()
    tapped = await site.tap_open(await site.key(lock))
    await site.until_state(command_id_of(tapped), "opened")


async def test_while_mongodb_stands_still_health_says_so_and_an_opening_is_refused(
    site: Site, database: mongo.Database
) -> None:
    await site.server.start(offline_after_s="60", mongodb_timeout_s="2")
    lock = await site.lock_online()
    key = await site.key(lock, max_uses=1)
    async with frozen(database):
        live, health = await site.fetch("/health/live"), await site.fetch("/health")
        tapped = await site.tap_open(key)
    assert await until(lambda: ready(site))
    assert (live.status, health.status, tapped.status) == (200, 503, 503)
    assert tapped.text("h1") == "The server is busy"
    assert "nothing will be sent to the lock later" in tapped.text(".lead")

    await site.until_used_count(key, 0)
    again = await site.tap_open(key)
    await site.until_state(command_id_of(again), "opened")
    assert lock.openings() == [command_id_of(again)]


async def test_a_lock_stays_connected_while_mongodb_stands_still(
    site: Site, database: mongo.Database
) -> None:
    await site.server.start(mongodb_timeout_s="1")
    lock = await site.lock_online()
    before = await site.connection(lock)
    async with frozen(database):

        async def unhealthy_for_longer_than_a_lock_may_be_silent() -> bool:
            return site.server.output.count("lease_not_renewed") >= 1

        await until(unhealthy_for_longer_than_a_lock_may_be_silent, timeout_s=30)
    await until(lambda: ready(site))
    after = await site.connection(lock)
    assert after["online"]
    assert after["since"] == before["since"]


async def test_a_lock_that_says_hello_while_mongodb_stands_still_is_told_to_try_again_later(
    site: Site, to_mongodb: Proxy
) -> None:
    await site.server.start(mongodb_timeout_s="1")
    lock = BareLock(site.url, (await site.locks()).all[0])
    async with lock.connection() as connection:
        to_mongodb.stall()
        await connection.hello_or_closed()
        assert await connection.closed() == 1013
    reason = connection.socket.close_reason or ""
    assert re.fullmatch(r"try again in \d+ s", reason)
    await to_mongodb.cut()
    to_mongodb.flow()
    await until(lambda: ready(site))
    async with lock.online():
        assert (await site.connection(lock))["online"]


async def test_a_use_whose_claim_was_not_answered_is_given_back(
    site: Site, to_mongodb: Proxy, database: mongo.Database
) -> None:
    await site.server.start(offline_after_s="60", mongodb_timeout_s="2")
    lock = await site.lock_online()
    key = await site.key(lock, max_uses=1)
    to_mongodb.to_server.stall_at(CLAIMS_A_USE)
    tap = asyncio.create_task(site.tap_open(key))
    await to_mongodb.to_server.sprung.wait()
    to_mongodb.to_client.stall()
    to_mongodb.to_server.flow()

    async def claimed() -> bool:
        stored = await database["tempKeys"].find_one({"_id": key.uuid})
        return stored is not None and stored["usedCount"] == 1

    assert await until(claimed)
    tapped = await tap
    await to_mongodb.cut()
    to_mongodb.flow()

    async def given_back() -> bool:
        return await site.used_count(key) == 0

    assert tapped.status == 503
    assert await until(given_back, timeout_s=30)
    assert [command["state"] for command in await site.commands_of(lock)] == ["expired"]
    assert lock.openings() == []


async def test_reports_that_come_while_mongodb_is_away_are_stored_once_when_it_is_back(
    site: Site, to_mongodb: Proxy, database: mongo.Database
) -> None:
    await site.server.start(offline_after_s="60", mongodb_timeout_s="1")
    device = (await site.locks()).all[0]
    lock = BareLock(site.url, device)
    async with lock.online() as connection:
        to_mongodb.stall()
        for seq in (1, 2, 3):
            await connection.reading(seq, battery=50)
        await site.server.until_said("reports_wait_for_storage")
        await to_mongodb.cut()
        to_mongodb.flow()
        while (await connection.hear("ack"))["seq"] < 3:
            pass
    assert await database["reports"].count_documents({"lockId": lock.lock_id}) == 3


async def test_a_lost_connection_to_mongodb_in_the_middle_of_openings_doubles_nothing(
    site: Site, to_mongodb: Proxy
) -> None:
    await site.server.start(mongodb_timeout_s="2")
    locks = await site.locks(10)
    await locks.start(site.url)
    for lock in locks.all:
        await site.until_online(lock)
    keys = [await site.key(lock, max_uses=1) for lock in locks.all]
    taps = [asyncio.create_task(site.tap_open(key)) for key in keys]

    async def some_opened() -> bool:
        return any(locks.openings(lock) for lock in locks.all)

    await until(some_opened)
    await to_mongodb.cut()
    await asyncio.gather(*taps)

    async def all_settled() -> bool:
        counts = [
            (len(locks.openings(lock)), await site.used_count(key))
            for lock, key in zip(locks.all, keys, strict=True)
        ]
        return all(openings == uses <= 1 for openings, uses in counts)

    assert await until(all_settled, timeout_s=30)
