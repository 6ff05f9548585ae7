"""What monitoring asks, over HTTP."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from server import __version__
from server.app import make_app, open_services
from server.settings import Settings
from tests.house import House, Page


async def test_a_healthy_node_says_what_it_is_and_what_it_needs(house: House):
    async with (await house.lock()).connected():
        answer = await house.fetch("/health")
    health = answer.json()
    assert answer.status == 200
    assert (health["status"], health["version"]) == ("ok", __version__)
    assert health["uptimeSeconds"] >= 0
    assert health["mongodb"]["ok"] is True
    assert (health["locksOnline"], health["locksOnlineHere"]) == (1, 1)
    assert health["keysAtRisk"] == 0
    assert health["eventLoop"]["ok"] is True


async def test_a_node_that_is_up_is_live_and_ready(house: House):
    live, ready = await house.fetch("/health/live"), await house.fetch("/health/ready")
    assert (live.status, live.json()) == (200, {"status": "live"})
    assert (ready.status, ready.json()) == (200, {"status": "ready"})


async def test_a_node_that_goes_down_is_live_but_not_ready(house: House):
    house.services.health.begin_drain()
    live, ready = await house.fetch("/health/live"), await house.fetch("/health/ready")
    assert (live.status, ready.status) == (200, 503)
    assert ready.json() == {"status": "not ready"}


async def test_health_tells_no_secret(house: House):
    lock = await house.device()
    body = (await house.fetch("/health")).response.body.decode()
    for secret in (house.api_key, house.organization.id, lock.token, "mongodb://"):
        assert secret not in body


@asynccontextmanager
async def server_without_mongodb(settings: Settings) -> AsyncIterator[str]:
    """A running server whose MongoDB is away."""
    settings = msgspec.structs.replace(settings, mongodb_timeout_s=0.2)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # it is ours, and nobody listens on it
        uri = f"mongodb://127.0.0.1:{port.getsockname()[1]}/?directConnection=true"
        async with open_services(settings, uri) as services:
            server = HTTPServer(make_app(services))
            sockets = bind_sockets(0, "127.0.0.1")
            server.add_sockets(sockets)
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
            server.stop()
            await server.close_all_connections()


@pytest.mark.expects_log("waiting_for_mongodb")
@pytest.mark.expects_log("lease_left_to_run_out")
async def test_without_the_database_a_node_is_live_but_neither_well_nor_ready(settings: Settings):
    client = AsyncHTTPClient(force_instance=True)
    async with server_without_mongodb(settings) as url:
        health, live, ready = [
            Page(await client.fetch(f"{url}/health{path}", raise_error=False))
            for path in ("", "/live", "/ready")
        ]
    client.close()
    assert (health.status, live.status, ready.status) == (503, 200, 503)
    assert health.json()["status"] == "unavailable"
    assert health.json()["mongodb"]["ok"] is False
    assert health.json()["locksOnline"] is None
