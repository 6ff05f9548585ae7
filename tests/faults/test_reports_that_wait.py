"""More reports than memory may hold while MongoDB is away: their locks wait, and stay online."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import psutil

from server import clock
from server.domain.protocol import MAX_BATCH_REPORTS
from server.domain.times import wire_time
from server.storage import mongo
from tests.faults.processes import Site
from tests.faults.proxy import Proxy
from tests.house import until
from tests.journeys.bare_lock import BareConnection, BareLock

MEGABYTE = 1024 * 1024
OFFLINE_AFTER_S = 2
LOCKS = 5
BATCHES = 10


def batch(number: int) -> list[dict[str, Any]]:
    """The reports of one full frame."""
    at, first = wire_time(clock.now()), number * MAX_BATCH_REPORTS + 1
    return [
        {"type": "telemetry", "seq": seq, "at": at, "rssi": -60}
        for seq in range(first, first + MAX_BATCH_REPORTS)
    ]


async def report_until_all_is_acknowledged(connection: BareConnection) -> None:
    """Send all the batches, as fast as the server takes them."""
    for number in range(BATCHES):
        await connection.say("batch", reports=batch(number))
    while (await connection.hear("ack"))["seq"] < BATCHES * MAX_BATCH_REPORTS:
        pass


async def test_locks_that_wait_for_mongodb_cost_no_memory_stay_online_and_lose_nothing(
    site: Site, to_mongodb: Proxy, database: mongo.Database
) -> None:
    await site.server.start(
        mongodb_timeout_s="1", offline_after_s=str(OFFLINE_AFTER_S), most_waiting_reports="1000"
    )
    busy, quiet = await site.locks(LOCKS), await site.locks()
    server, loop = psutil.Process(site.server.pid), asyncio.get_running_loop()
    async with AsyncExitStack() as online, asyncio.TaskGroup() as reporting:
        enter = online.enter_async_context
        connections = [await enter(BareLock(site.url, device).online()) for device in busy.all]
        other = await enter(BareLock(site.url, quiet.all[0]).online())
        before = [await site.connection(device) for device in busy.all]
        memory = server.memory_info().rss
        to_mongodb.stall()
        stalled_at = loop.time()
        for connection in connections:
            reporting.create_task(report_until_all_is_acknowledged(connection))

        async def for_longer_than_a_lock_may_be_silent() -> bool:
            return loop.time() - stalled_at > 3 * OFFLINE_AFTER_S

        await until(for_longer_than_a_lock_may_be_silent)
        other_is_answered = await other.still_answers()
        grown = server.memory_info().rss - memory
        await to_mongodb.cut()
        to_mongodb.flow()
        await until(lambda: all_stored(database))
        after = [await site.connection(device) for device in busy.all]
    assert other_is_answered
    assert grown < 16 * MEGABYTE
    assert [shown["since"] for shown in after] == [shown["since"] for shown in before]


async def all_stored(database: mongo.Database) -> bool:
    stored = await database["reports"].count_documents({})
    return stored == LOCKS * BATCHES * MAX_BATCH_REPORTS
