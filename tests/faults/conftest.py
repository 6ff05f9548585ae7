"""What the tests of faults run on: processes, with the tests' MongoDB behind a proxy."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest
from pymongo.errors import OperationFailure
from pymongo.uri_parser import parse_uri
from tornado.ioloop import IOLoop

from server.services.provisioning import Provisioning
from server.settings import Settings
from server.storage import migrations, mongo
from server.storage.event_store import EventStore
from server.storage.lock_store import LockStore
from server.storage.organization_store import OrganizationStore
from tests.faults.processes import Nats, Server, Site, Town
from tests.faults.proxy import Proxy, in_front_of


def provisioning_in(database: mongo.Database) -> Provisioning:
    """What sets organisations and locks up in a database."""
    return Provisioning(OrganizationStore(database), LockStore(database), EventStore(database))


def on_mongodb(uri: str, database_name: str) -> dict[str, str]:
    """The variables of a server that works on a database."""
    return {"LATCHKEY_MONGODB_URI": uri, "LATCHKEY_MONGODB_DATABASE": database_name}


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
    uri = f"mongodb://127.0.0.1:{to_mongodb.port}/?directConnection=true"
    server = Server(tmp_path / "server.log", on_mongodb(uri, settings.mongodb_database))
    site = io_loop.run_sync(lambda: Site.build(tmp_path, provisioning_in(database), server))
    yield site
    io_loop.run_sync(site.close)
    # A transaction that a killed server left open would hold up what comes next for seconds. The
    # command has a session too, so that it may end itself.
    with suppress(OperationFailure):
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
def town(io_loop: IOLoop, site: Site, nats: Nats, to_nats: Proxy, tmp_path: Path) -> Iterator[Town]:
    """Two nodes of one organisation, running; the second one reaches NATS by the proxy."""
    site.server.variables["LATCHKEY_NATS_URL"] = f"nats://127.0.0.1:{nats.port}"
    variables = {**site.server.variables, "LATCHKEY_NATS_URL": f"nats://127.0.0.1:{to_nats.port}"}
    there = site.neighbour(Server(tmp_path / "neighbour.log", variables))
    town = Town(site, there)
    io_loop.run_sync(town.start)
    yield town
    io_loop.run_sync(there.close)


@pytest.fixture
def soak_s(request: pytest.FixtureRequest) -> float:
    """How many seconds of bad weather the soak has."""
    return request.config.option.soak_seconds


# Nodes that nobody kills run for all tests of a module, each with an organisation of its own.


class Nodes(NamedTuple):
    """Two servers on a database that is theirs."""

    here: Server
    there: Server
    database_name: str


@pytest.fixture(scope="module")
def nodes(
    mongodb_uri: str, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Nodes]:
    """Two nodes that run as long as a module's tests; whatever those do, they break neither."""
    folder = tmp_path_factory.mktemp("nodes")
    nats = Nats(folder / "nats.log")
    name = f"{database_name}_of_nodes"
    variables = {
        **on_mongodb(mongodb_uri, name),
        "LATCHKEY_NATS_URL": f"nats://127.0.0.1:{nats.port}",
        # One lock races with itself as fast as the machine allows.
        "LATCHKEY_CONNECTS_A_SECOND": "1000",
    }
    here, there = Server(folder / "here.log", variables), Server(folder / "there.log", variables)

    async def start() -> None:
        client = mongo.connect(mongodb_uri, timeout_s=10)
        await migrations.prepare(client[name])
        client.close()
        await asyncio.gather(*(process.start() for process in (nats, here, there)))

    async def end() -> None:
        await asyncio.gather(*(process.kill() for process in (nats, here, there)))

    with asyncio.Runner() as runner:
        runner.run(start())
        yield Nodes(here, there, name)
        runner.run(end())


@pytest.fixture
def database_of_nodes(mongodb_uri: str, nodes: Nodes) -> Iterator[mongo.Database]:
    """The database of those nodes, with what the module's tests before this one have left."""
    client = mongo.connect(mongodb_uri, timeout_s=10)
    yield client[nodes.database_name]
    client.close()


@pytest.fixture
def quiet_town(
    io_loop: IOLoop, nodes: Nodes, database_of_nodes: mongo.Database, tmp_path: Path
) -> Iterator[Town]:
    """A new organisation on those nodes."""

    async def build() -> Town:
        provisioning = provisioning_in(database_of_nodes)
        here = await Site.build(tmp_path, provisioning, nodes.here)
        town = Town(here, here.neighbour(nodes.there))
        await town.until_well()
        return town

    town = io_loop.run_sync(build)
    yield town
    for site in town:
        io_loop.run_sync(site.clear)
