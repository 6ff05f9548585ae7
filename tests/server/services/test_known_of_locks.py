"""What reports tell of their locks, kept in a real MongoDB that may be away for a while."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from pymongo.uri_parser import parse_uri

from server.domain.locks import LatestReading
from server.domain.telemetry import KnownOfLock
from server.services.known_of_locks import KnownOfLocks
from server.services.tasks import Tasks
from server.storage import mongo
from server.storage.report_store import ReportStore
from tests.faults.proxy import Proxy, in_front_of
from tests.house import until

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def reading(seq: int, battery: int, rssi: int | None = None) -> KnownOfLock:
    latest = LatestReading(epoch="e", seq=seq, at=NOW, received_at=NOW, battery=battery, rssi=rssi)
    return KnownOfLock(seen_at=NOW, reading=latest)


@asynccontextmanager
async def writing(uri: str, name: str) -> AsyncIterator[tuple[KnownOfLocks, Proxy]]:
    """What is to be tested, writing, and its way to MongoDB."""
    tasks = Tasks()
    async with in_front_of(*parse_uri(uri)["nodelist"]) as way:
        there = f"mongodb://127.0.0.1:{way.port}/?directConnection=true"
        client = mongo.connect(there, timeout_s=0.5)
        known = KnownOfLocks(ReportStore(client[name]))
        tasks.spawn(known.write_forever(), "known-of-locks")
        try:
            yield known, way
        finally:
            await tasks.cancel()
            client.close()


@pytest.mark.expects_log("latest_readings_late")
async def test_what_could_not_be_kept_is_kept_later_under_what_has_come_since(
    mongodb_uri: str, database: mongo.Database, caplog: pytest.LogCaptureFixture
):
    await database["locks"].insert_many([{"_id": 1, "uuid": "a"}, {"_id": 2, "uuid": "b"}])
    async with writing(mongodb_uri, database.name) as (known, way):
        way.stall()
        known.note({1: reading(1, battery=80, rssi=-60), 2: reading(1, battery=20)})

        async def late() -> bool:
            return "latest_readings_late" in caplog.text

        await until(late)
        known.note({1: reading(2, battery=79)})
        way.flow()
        await known.until_written()
    kept = {lock["_id"]: lock["telemetry"] async for lock in database["locks"].find()}
    assert (kept[1]["battery"], kept[1]["rssi"], kept[2]["battery"]) == (79, -60, 20)
