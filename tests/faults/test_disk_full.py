"""MongoDB has no room on its disk: nothing opens, and that is said before anything is sent."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from server.storage import migrations, mongo
from server.storage.embedded_mongodb import embedded_mongodb
from tests.faults.conftest import on_mongodb, provisioning_in
from tests.faults.processes import Server, Site

DATABASE = "latchkey"


@pytest.fixture
def uri(io_loop: IOLoop, tmp_path: Path) -> Iterator[str]:
    """A MongoDB for this test alone."""
    running = embedded_mongodb(tmp_path / "mongodb")
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


@pytest.fixture
def database(io_loop: IOLoop, uri: str) -> Iterator[mongo.Database]:
    client = mongo.connect(uri, timeout_s=10)
    io_loop.run_sync(lambda: migrations.prepare(client[DATABASE]))
    yield client[DATABASE]
    client.close()


@pytest.fixture
def site(io_loop: IOLoop, uri: str, database: mongo.Database, tmp_path: Path) -> Iterator[Site]:
    server = Server(tmp_path / "server.log", on_mongodb(uri, DATABASE))
    site = io_loop.run_sync(lambda: Site.build(tmp_path, provisioning_in(database), server))
    yield site
    io_loop.run_sync(site.close)


async def test_with_a_full_disk_an_opening_is_refused_before_it_is_sent_and_locks_stay(
    site: Site, database: mongo.Database
) -> None:
    await site.server.start(mongodb_timeout_s="1")
    lock = await site.lock_online()
    key = await site.key(lock)
    mongod = (await database.command("serverStatus"))["pid"]
    database.client.close()  # later it would wait for a MongoDB that has gone
    resource.prlimit(mongod, resource.RLIMIT_FSIZE, (1, 1))  # no file takes another byte
    tapped = await site.tap_open(key)
    health = await site.fetch("/health")
    assert (tapped.status, tapped.text("h1")) == (503, "The server is busy")
    assert "nothing will be sent to the lock later" in tapped.text(".lead")
    assert (health.status, health.json()["locksOnlineHere"]) == (503, 1)
    assert lock.openings() == []
