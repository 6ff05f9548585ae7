"""How a node says that it is."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import pytest

from server import __version__, clock
from server.metrics import PrometheusMetrics
from server.services.arrivals import Arrivals
from server.services.health import HealthCheck, Ping
from server.services.loop_watch import LoopWatch
from server.services.registry import Services
from server.services.seldom import Seldom
from server.storage import mongo
from server.storage.arrival_store import ArrivalStore
from server.storage.fleet_store import FleetStore
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


def health_of(
    ping: Ping, database: Database, services: Services, loop_watch: LoopWatch
) -> HealthCheck:
    """A check of a node whose MongoDB is this one, and answers so."""
    at_risk = Seldom(Arrivals(ArrivalStore(database), FleetStore(database)).count_at_risk)
    presence = PresenceStore(database)
    return HealthCheck(ping, None, presence, services.sessions, loop_watch, at_risk)


@pytest.fixture
def without_mongodb(services: Services, away: Database, loop_watch: LoopWatch) -> HealthCheck:
    return health_of(partial(mongo.ping, away), away, services, loop_watch)


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


async def test_keys_of_guests_who_come_soon_to_a_lock_in_trouble_are_counted(house: House):
    lock = await house.lock()
    async with lock.connected():
        pass
    await house.until_offline(lock)
    soon = clock.now() + timedelta(hours=5)
    await house.key(lock, valid_from=soon, valid_until=soon + timedelta(hours=1))
    health = await house.services.health.check()
    assert health.keys_at_risk == 1


async def test_keys_at_risk_are_not_counted_again_for_each_who_asks(house: House):
    lock = await house.lock()
    first = await house.services.health.check()
    soon = clock.now() + timedelta(hours=5)
    await house.key(lock, valid_from=soon, valid_until=soon + timedelta(hours=1))
    second = await house.services.health.check()
    assert (first.keys_at_risk, second.keys_at_risk) == (0, 0)


async def test_without_its_database_a_node_is_unavailable_and_says_what_it_knows(
    without_mongodb: HealthCheck,
):
    health = await without_mongodb.check()
    assert health.status == "unavailable"
    assert (health.mongodb.ok, health.mongodb.latency_ms) == (False, None)
    assert (health.locks_online, health.locks_online_here) == (None, 0)
    assert health.keys_at_risk is None


async def test_a_database_that_never_answers_is_not_waited_for(
    services: Services, database: Database, loop_watch: LoopWatch
):
    async def never() -> None:
        await asyncio.Event().wait()

    health = health_of(never, database, services, loop_watch)
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
    health = health_of(partial(mongo.ping, database), database, services, loop_watch)
    assert await health.is_ready()
    monkeypatch.setattr(LoopWatch, "worst_s", 2.5)
    assert not await health.is_ready()
    told = await health.check()
    assert told.status == "degraded"
    assert (told.event_loop.ok, told.event_loop.latency_ms) == (False, 2500)


@pytest.mark.expects_log("lease_not_renewed")
@pytest.mark.expects_log("sweep_waits_for_storage")
@pytest.mark.expects_log("waiting_for_mongodb")
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
