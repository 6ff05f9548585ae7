"""The primary of a replica set of three is lost in the middle of openings, on two nodes."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from server.storage import migrations, mongo
from server.storage.embedded_replica_set import EmbeddedReplicaSet, embedded_replica_set
from tests.faults.conftest import on_mongodb, provisioning_in
from tests.faults.processes import IssuedKey, Locks, Nats, Server, Site, Town, freeze
from tests.house import Device, command_id_of, until
from tests.journeys.bare_lock import BareLock

DATABASE = "latchkey"
LOCKS_A_NODE = 8


@pytest.fixture(scope="module")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedReplicaSet]:
    """Three mongod for all tests, of which the last may end one for good."""
    running = embedded_replica_set(tmp_path_factory.mktemp("mongodb"))
    with asyncio.Runner() as runner:
        yield runner.run(running.__aenter__())
        runner.run(running.__aexit__(None, None, None))


@pytest.fixture
def database(io_loop: IOLoop, replica_set: EmbeddedReplicaSet) -> Iterator[mongo.Database]:
    """A database on all three, which run."""
    client = mongo.connect(replica_set.uri, timeout_s=20)

    async def all_run() -> bool:
        status = await client.admin.command("replSetGetStatus")
        return {member["stateStr"] for member in status["members"]} == {"PRIMARY", "SECONDARY"}

    io_loop.run_sync(lambda: until(all_run))
    yield client[DATABASE]
    for pid in replica_set.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    client.close()


@pytest.fixture
def town(
    io_loop: IOLoop,
    replica_set: EmbeddedReplicaSet,
    database: mongo.Database,
    nats: Nats,
    tmp_path: Path,
) -> Iterator[Town]:
    variables = {
        **on_mongodb(replica_set.uri, DATABASE),
        "LATCHKEY_NATS_URL": f"nats://127.0.0.1:{nats.port}",
        "LATCHKEY_OFFLINE_AFTER_S": "60",
    }

    async def build() -> Town:
        await migrations.prepare(database)
        servers = [Server(tmp_path / f"{it}.log", variables) for it in ("here", "there")]
        here = await Site.build(tmp_path, provisioning_in(database), servers[0])
        town = Town(here, here.neighbour(servers[1]))
        await town.start()
        return town

    town = io_loop.run_sync(build)
    yield town
    for site in town:
        io_loop.run_sync(site.close)


async def test_without_a_majority_nothing_opens_and_locks_stay_connected(
    town: Town, replica_set: EmbeddedReplicaSet
) -> None:
    device = (await town.there.locks()).all[0]
    key = await town.here.key(device, max_uses=1)
    async with BareLock(town.there.url, device).online() as connection:
        before = await town.here.connection(device)
        primary = await replica_set.primary_pid()
        majority = [primary, *(pid for pid in replica_set.pids if pid != primary)][:2]
        for pid in majority:
            await freeze(pid)

        async def not_ready() -> bool:
            return {(await site.fetch("/health/ready")).status for site in town} == {503}

        assert await until(not_ready)
        refused = await town.here.tap_open(key)
        assert await connection.still_answers()
        for pid in majority:
            os.kill(pid, signal.SIGCONT)
        await town.until_well()
        await town.here.until_used_count(key, 0)
        after = await town.here.connection(device)
        again = await town.here.tap_open(key)
        command = await connection.hear("command")
    assert refused.status == 503
    assert command["id"] == command_id_of(again)
    assert after["since"] == before["since"]


async def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("lose", [freeze, kill], ids=["stopped", "killed"])
async def test_openings_go_on_with_a_new_primary_and_nothing_is_doubled_or_lost(
    town: Town, replica_set: EmbeddedReplicaSet, lose: Callable[[int], Awaitable[None]]
) -> None:
    fleets = [await site.locks(LOCKS_A_NODE) for site in town]
    for site, fleet in zip(town, fleets, strict=True):
        await fleet.start(site.url)
        for lock in fleet.all:
            await site.until_online(lock)
    doors = [(fleet, lock) for fleet in fleets for lock in fleet.all]
    keys = [await town.here.key(lock, max_uses=4) for _, lock in doors]
    device = (await town.there.locks()).all[0]
    async with BareLock(town.there.url, device).online() as reporting:
        taps = [asyncio.create_task(site.tap_open(key)) for key in keys for site in town]

        async def some_opened() -> bool:
            return any(fleet.openings(lock) for fleet, lock in doors)

        await until(some_opened)
        primary = await replica_set.primary_pid()
        await lose(primary)
        await reporting.reading(1, battery=50)
        await asyncio.gather(*taps)
        assert (await reporting.hear("ack"))["seq"] == 1
    await town.until_well()
    readings = (await town.here.manage("GET", f"/locks/{device.lock_id}/telemetry")).json()
    assert [reading["seq"] for reading in readings["telemetry"]] == [1]
    for (fleet, lock), key in zip(doors, keys, strict=True):
        assert await until(partial(agrees, town.here, fleet, lock, key), timeout_s=30)
    for site in town:
        again = await site.tap_open(keys[0])
        await site.until_state(command_id_of(again), "opened")


async def agrees(site: Site, fleet: Locks, lock: Device, key: IssuedKey) -> bool:
    """Whether all is settled, as the lock's own journal tells it."""
    states = {command["id"]: command["state"] for command in await site.commands_of(lock)}
    moved = fleet.openings(lock)
    assert len(set(moved)) == len(moved)
    opened = {command_id for command_id, state in states.items() if state == "opened"}
    counted = [state for state in states.values() if state in ("opened", "unconfirmed")]
    settled = set(states.values()) <= {"opened", "unconfirmed", "refused", "expired"}
    return settled and opened == set(moved) and await site.used_count(key) == len(counted)
