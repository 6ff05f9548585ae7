"""How a node says that it is."""

import asyncio
import socket
from collections.abc import Iterator
from functools import partial

import pytest

from server import __version__
from server.services.health import HealthCheck
from server.services.registry import Services
from server.storage import mongo
from server.storage.mongo import Database
from server.storage.presence_store import PresenceStore
from tests.house import House


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
def without_mongodb(services: Services, away: Database) -> HealthCheck:
    return HealthCheck(partial(mongo.ping, away), None, PresenceStore(away), services.sessions)


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
    services: Services, database: Database
):
    async def never() -> None:
        await asyncio.Event().wait()

    health = HealthCheck(never, None, PresenceStore(database), services.sessions)
    assert (await health.check()).status == "unavailable"


async def test_a_node_with_its_database_is_ready(services: Services):
    assert await services.health.is_ready()


async def test_a_node_without_its_database_is_not_ready(without_mongodb: HealthCheck):
    assert not await without_mongodb.is_ready()


async def test_a_node_that_goes_down_is_not_ready_although_it_is_well(services: Services):
    services.health.begin_drain()
    assert not await services.health.is_ready()
    assert (await services.health.check()).status == "ok"
