"""How a node says that it is."""

import asyncio
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from server import __version__
from server.metrics import PrometheusMetrics
from server.services.health import HealthCheck
from server.services.loop_watch import LoopWatch
from server.services.registry import Services
from server.storage import mongo
from server.storage.mongo import Database
from server.storage.presence_store import PresenceStore
from tests.house import House, until


@pytest.fixture
def away() -> Iterator[Database]:
    """A database at a port that is ours and that nobody listens on."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        uri = f"mongodb://127.0.0.1:{port.getsockname()[1]}/?directConnection=true"
        client = mongo.connect(uri, timeout_s=0.1)
        yield client["away"]
        client.close()


@pytest.fixture
def loop_watch() -> LoopWatch:
    return LoopWatch(PrometheusMetrics())


@pytest.fixture
def without_mongodb(services: Services, away: Database, loop_watch: LoopWatch) -> HealthCheck:
    return HealthCheck(
        partial(mongo.ping, away), None, PresenceStore(away), services.sessions, loop_watch
    )


async def test_a_node_with_its_database_is_well(services: Services):
    health = await services.health.check()
    assert (health.status, health.version) == ("ok", __version__)
    assert health.mongodb.ok is True
    assert health.mongodb.latency_ms is not None
    assert health.uptime_seconds >= 0


async def test_the_locks_that_are_online_are_counted(house: House):
    async with (await house.lock()).connected(), (await house.lock("Back door")).connected():
        health = await house.services.health.check()
    assert (health.locks_online, health.locks_online_here) == (2, 2)


async def test_without_its_database_a_node_is_unavailable_and_says_what_it_knows(
    without_mongodb: HealthCheck,
):
    health = await without_mongodb.check()
    assert health.status == "unavailable"
    assert (health.mongodb.ok, health.mongodb.latency_ms) == (False, None)
    assert (health.locks_online, health.locks_online_here) == (None, 0)


async def test_a_database_that_never_answers_is_not_waited_for(
    services: Services, database: Database, loop_watch: LoopWatch
):
    async def never() -> None:
        await asyncio.Event().wait()

    health = HealthCheck(never, None, PresenceStore(database), services.sessions, loop_watch)
    assert (await health.check()).status == "unavailable"


async def test_a_node_with_its_database_is_ready(services: Services):
    assert await services.health.is_ready()


async def test_a_node_without_its_database_is_not_ready(without_mongodb: HealthCheck):
    assert not await without_mongodb.is_ready()


async def test_a_node_that_goes_down_is_not_ready_although_it_is_well(services: Services):
    services.health.begin_drain()
    assert not await services.health.is_ready()
    assert (await services.health.check()).status == "ok"


async def test_a_node_whose_event_loop_stalled_just_now_is_not_ready(
    database: Database, services: Services, loop_watch: LoopWatch, monkeypatch: pytest.MonkeyPatch
):
    ping, presence = partial(mongo.ping, database), PresenceStore(database)
    health = HealthCheck(ping, None, presence, services.sessions, loop_watch)
    assert await health.is_ready()
    monkeypatch.setattr(LoopWatch, "worst_s", 2.5)
    assert not await health.is_ready()
    told = await health.check()
    assert told.status == "degraded"
    assert (told.event_loop.ok, told.event_loop.latency_ms) == (False, 2500)


@pytest.mark.expects_log("lease_not_renewed")
@pytest.mark.expects_log("sweep_waits_for_storage")
async def test_a_node_whose_mongodb_has_no_primary_is_not_ready(
    services: Services, database: Database
):
    async def is_ready() -> bool:
        return await services.health.is_ready()

    admin = database.client.admin
    await admin.command({"replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 0, "force": True})
    try:
        assert not await is_ready()
        assert (await services.health.check()).status == "unavailable"
    finally:
        await admin.command({"replSetFreeze": 0})  # it stands for election again
        assert await until(is_ready)
