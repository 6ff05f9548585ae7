"""From the schema of one version to that of the next, on a real database."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from server.domain.database_errors import MigrationUnderWay, WrongSchema
from server.storage import migrations
from server.storage.migrations import MIGRATIONS, Migration, SchemaStore, prepare
from server.storage.mongo import Database

NEWEST = len(MIGRATIONS)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

Step = Callable[[Database], Awaitable[None]]


@pytest.fixture
def schema(database: Database) -> SchemaStore:
    return SchemaStore(database)


async def make_old(database: Database, version: int | None = None) -> None:
    """Leave a lock of an older server there, and the schema's number (none) as it was."""
    await database["locks"].insert_one({"_id": 7, "uuid": "lock-7", "orgId": "org", "name": "Door"})
    await database["schema"].delete_many({})
    if version is not None:
        await database["schema"].insert_one({"_id": "schema", "version": version})


async def stored_version(database: Database) -> int:
    document = await database["schema"].find_one({"_id": "schema"})
    assert document is not None
    assert set(document) == {"_id", "version"}  # and nobody migrates
    return document["version"]


async def test_an_empty_database_is_of_the_newest_schema(database: Database):
    await database["schema"].delete_many({})
    await asyncio.gather(*(prepare(database) for _ in range(5)))
    assert await stored_version(database) == NEWEST


async def test_a_database_from_before_the_numbering_is_refused_until_it_is_migrated(
    database: Database, schema: SchemaStore
):
    await make_old(database)
    with pytest.raises(WrongSchema, match=r"schema 0.*python -m server migrate"):
        await prepare(database)
    assert len(await schema.migrate()) == NEWEST
    await prepare(database)


async def test_a_lock_of_an_older_server_has_the_number_of_its_newest_event(
    database: Database, schema: SchemaStore
):
    await make_old(database)
    await database["locks"].insert_one({"_id": 8, "uuid": "lock-8", "version": 3})
    await schema.migrate()
    locks = await database["locks"].find({}, {"version": 1}).sort("_id", 1).to_list()
    assert [lock["version"] for lock in locks] == [0, 3]


async def test_a_second_migration_finds_nothing_to_do(database: Database, schema: SchemaStore):
    await make_old(database)
    await schema.migrate()
    assert await schema.migrate() == []
    assert await stored_version(database) == NEWEST


async def test_a_database_of_a_newer_server_is_refused_and_left_alone(
    database: Database, schema: SchemaStore
):
    await make_old(database, NEWEST + 1)
    for refused in (prepare(database), schema.migrate()):
        with pytest.raises(WrongSchema, match="Run a server that is as new"):
            await refused
    assert await stored_version(database) == NEWEST + 1


def noting(done: list[int], number: int) -> Migration:
    async def run(_: Database) -> None:
        done.append(number)

    return Migration(f"step {number} is done", run)


async def test_only_the_steps_that_are_missing_are_taken_and_in_order(database: Database):
    done: list[int] = []
    await make_old(database, 1)
    steps = tuple(noting(done, number) for number in (1, 2, 3))
    said = await SchemaStore(database, steps).migrate()
    assert done == [2, 3]
    assert said == ["schema 2: step 2 is done", "schema 3: step 3 is done"]


async def test_a_step_that_broke_off_is_taken_again_and_those_before_it_are_not(
    database: Database,
):
    done: list[int] = []
    breaks = iter([True, False])

    async def run(_: Database) -> None:
        done.append(2)
        if next(breaks):
            raise OSError("the plug was pulled")

    await make_old(database)
    steps = (noting(done, 1), Migration("step 2 is done", run))
    with pytest.raises(OSError, match="plug"):
        await SchemaStore(database, steps).migrate()
    assert await stored_version(database) == 1
    await SchemaStore(database, steps).migrate()
    assert done == [1, 2, 2]
    assert await stored_version(database) == 2


async def test_of_two_at_once_one_migrates_and_the_other_is_told(database: Database):
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def run(_: Database) -> None:
        begun.set()
        await go_on.wait()

    await make_old(database)
    steps = (Migration("it is done", run),)
    first = asyncio.create_task(SchemaStore(database, steps).migrate())
    await begun.wait()
    with pytest.raises(MigrationUnderWay):
        await SchemaStore(database, steps).migrate()
    go_on.set()
    assert await first == ["schema 1: it is done"]


async def test_a_migration_whose_runner_died_is_taken_over(database: Database, schema: SchemaStore):
    await make_old(database)
    await database["schema"].insert_one(
        {"_id": "schema", "version": 0, "runner": "dead", "leaseUntil": LONG_AGO}
    )
    await schema.migrate()
    assert await stored_version(database) == NEWEST


async def test_a_runner_that_was_taken_for_dead_stops_and_changes_no_number(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(migrations, "_RENEW_EVERY_S", 0.02)
    stopped = asyncio.Event()

    async def run(database: Database) -> None:
        await database["schema"].update_one({"_id": "schema"}, {"$set": {"runner": "another"}})
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await make_old(database)
    with pytest.raises(MigrationUnderWay):
        await SchemaStore(database, (Migration("never", run),)).migrate()
    assert stopped.is_set()
    schema = await database["schema"].find_one()
    assert schema is not None
    assert (schema["version"], schema["runner"]) == (0, "another")
