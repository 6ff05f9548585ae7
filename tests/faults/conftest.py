"""What the tests of faults run on: processes, with the tests' MongoDB behind a proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.uri_parser import parse_uri
from tornado.ioloop import IOLoop

from server.services.provisioning import Provisioning
from server.settings import Settings
from server.storage import mongo
from server.storage.event_store import EventStore
from server.storage.lock_store import LockStore
from server.storage.organization_store import OrganizationStore
from tests.faults.processes import Nats, Site, Town
from tests.faults.proxy import Proxy, in_front_of


@pytest.fixture
def to_mongodb(io_loop: IOLoop, mongodb_uri: str) -> Iterator[Proxy]:
    """The network between the server and MongoDB."""
    proxy = in_front_of(*parse_uri(mongodb_uri)["nodelist"])
    yield io_loop.run_sync(proxy.__aenter__)
    io_loop.run_sync(lambda: proxy.__aexit__(None, None, None))


@pytest.fixture
def site(
    io_loop: IOLoop,
    database: mongo.Database,
    settings: Settings,
    to_mongodb: Proxy,
    tmp_path: Path,
) -> Iterator[Site]:
    """An organisation whose server is not started yet; it reaches MongoDB by the proxy."""
    provisioning = Provisioning(
        OrganizationStore(database), LockStore(database), EventStore(database)
    )
    variables = {
        "LATCHKEY_MONGODB_URI": f"mongodb://127.0.0.1:{to_mongodb.port}/?directConnection=true",
        "LATCHKEY_MONGODB_DATABASE": settings.mongodb_database,
    }
    site = io_loop.run_sync(lambda: Site.build(tmp_path, provisioning, variables))
    yield site
    io_loop.run_sync(site.close)
    # A transaction that a killed server left open would hold up what comes next for a minute.
    io_loop.run_sync(lambda: database.client.admin.command({"killAllSessions": []}))


@pytest.fixture
def nats(io_loop: IOLoop, tmp_path: Path) -> Iterator[Nats]:
    """A NATS that runs."""
    nats = Nats(tmp_path / "nats.log")
    io_loop.run_sync(nats.start)
    yield nats
    io_loop.run_sync(nats.kill)


@pytest.fixture
def to_nats(io_loop: IOLoop, nats: Nats) -> Iterator[Proxy]:
    """The network between the second node and NATS."""
    proxy = in_front_of(("127.0.0.1", nats.port))
    yield io_loop.run_sync(proxy.__aenter__)
    io_loop.run_sync(lambda: proxy.__aexit__(None, None, None))


@pytest.fixture
def town(io_loop: IOLoop, site: Site, nats: Nats, to_nats: Proxy) -> Iterator[Town]:
    """Two nodes of one organisation, running; the second one reaches NATS by the proxy."""
    site.server.variables["LATCHKEY_NATS_URL"] = f"nats://127.0.0.1:{nats.port}"
    there = site.neighbour(
        {**site.server.variables, "LATCHKEY_NATS_URL": f"nats://127.0.0.1:{to_nats.port}"}
    )
    town = Town(site, there)
    io_loop.run_sync(town.start)
    yield town
    io_loop.run_sync(there.close)


@pytest.fixture
def soak_s(request: pytest.FixtureRequest) -> float:
    """How many seconds of bad weather the soak has."""
    return request.config.option.soak_seconds
