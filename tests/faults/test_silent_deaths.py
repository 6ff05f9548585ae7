"""The published bound, over two hundred locks that fall silent: never early, never late."""

import asyncio
import random
import statistics
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from server import clock
from server.storage.mongo import Database
from tests.faults.processes import Site
from tests.house import Device, until
from tests.journeys.bare_lock import BareConnection, BareLock

LOCKS = 200
BOUND_S = 4.0
SPREAD_S = 3.0
"""Over how long the locks fall silent, one after the other."""
_AT_ONCE = 20


async def test_two_hundred_silent_locks_are_shown_offline_once_they_are_dead_and_within_the_bound(
    site: Site, database: Database, record_property: Callable[[str, object], None]
) -> None:
    await site.server.start(
        heartbeat_s="1", offline_after_s=str(BOUND_S), connects_a_second=str(2 * LOCKS)
    )
    devices = (await site.locks(LOCKS)).all
    async with connected(site, devices) as connections, watching(database) as offline_at:
        silent_at = await fall_silent(connections)

        async def all_are_offline() -> bool:
            return len(offline_at) == LOCKS

        await until(all_are_offline)
    seen_after_s = sorted(
        (offline_at[lock_id] - silent_at[lock_id]).total_seconds() for lock_id in silent_at
    )
    record_property(
        f"shown offline after {LOCKS} silent deaths (bound {BOUND_S} s)",
        f"min {seen_after_s[0]:.2f} s, median {statistics.median(seen_after_s):.2f} s, "
        f"p95 {seen_after_s[int(LOCKS * 0.95)]:.2f} s, max {seen_after_s[-1]:.2f} s",
    )
    reasons = await database["locks"].distinct("connection.offlineReason")
    assert reasons == ["timeout"]
    assert seen_after_s[0] > 0
    assert seen_after_s[-1] <= BOUND_S


@asynccontextmanager
async def connected(
    site: Site, devices: Sequence[Device]
) -> AsyncIterator[dict[int, BareConnection]]:
    """A welcomed connection of each lock."""
    async with AsyncExitStack() as stack:
        gate = asyncio.Semaphore(_AT_ONCE)

        async def connect(device: Device) -> BareConnection:
            async with gate:
                return await stack.enter_async_context(BareLock(site.url, device).online())

        connections = await asyncio.gather(*(connect(device) for device in devices))
        yield {device.lock_id: one for device, one in zip(devices, connections, strict=True)}


async def fall_silent(connections: dict[int, BareConnection]) -> dict[int, datetime]:
    """Let each lock fall silent at a time of its own; when that was."""
    silent_at: dict[int, datetime] = {}

    async def fall(lock_id: int) -> None:
        await asyncio.sleep(random.uniform(0, SPREAD_S))
        connections[lock_id].stop_reading()
        silent_at[lock_id] = clock.now()

    await asyncio.gather(*(fall(lock_id) for lock_id in connections))
    return silent_at


@asynccontextmanager
async def watching(database: Database) -> AsyncIterator[dict[int, datetime]]:
    """When each lock is first seen offline by whoever reads the database."""
    offline_at: dict[int, datetime] = {}
    went_offline = [
        {"$match": {"operationType": "update", "fullDocument.connection.online": False}}
    ]

    async def watch() -> None:
        async for change in stream:
            offline_at.setdefault(change["documentKey"]["_id"], clock.now())

    async with database["locks"].watch(went_offline, full_document="updateLookup") as stream:
        task = asyncio.create_task(watch())
        try:
            yield offline_at
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
