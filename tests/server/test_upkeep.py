"""Upkeep at a shell: commands as processes of their own, on the real MongoDB."""

from server.storage.migrations import MIGRATIONS
from server.storage.mongo import Database
from tests.server.command_line import Run

NEWEST = len(MIGRATIONS)


async def set_schema(database: Database, version: int) -> None:
    await database["schema"].update_one({"_id": "schema"}, {"$set": {"version": version}})


async def test_a_node_ends_on_an_older_schema_and_says_what_to_run(run: Run, database: Database):
    await set_schema(database, 0)
    served = await run("serve")
    assert served.code == 1
    assert f"schema 0, and this server works with {NEWEST}" in served.err
    assert "python -m server migrate" in served.err
    assert "Traceback" not in served.err

    migrated, again = await run("migrate"), await run("migrate")
    assert (migrated.code, again.code) == (0, 0)
    assert "schema 1: every lock has the number of its newest event\n" in migrated.err
    assert "there was nothing to do\n" in again.err
    assert (await run("org", "list")).code == 0


async def test_a_node_ends_on_a_newer_schema_than_it_knows(run: Run, database: Database):
    await set_schema(database, NEWEST + 1)
    for command in (["serve"], ["migrate"], ["org", "list"]):
        refused = await run(*command)
        assert refused.code == 1, command
        assert "Run a server that is as new" in refused.err, command
        assert "Traceback" not in refused.err, command
