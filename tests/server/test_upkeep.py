"""Upkeep at a shell: commands as processes of their own, on the real MongoDB."""

from pathlib import Path

from server.storage.migrations import MIGRATIONS
from server.storage.mongo import Database
from tests.house import House
from tests.server.command_line import Run

NEWEST = len(MIGRATIONS)


# Migrations


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


# Archives


async def test_an_organisation_and_a_backup_go_out_and_come_in_elsewhere(
    run: Run, house: House, database: Database, tmp_path: Path
):
    await house.device()
    for out, into in ((["export", house.organization.id], "import"), (["backup"], "restore")):
        elsewhere = f"{database.name}_{into}"
        went_out = await run(*out)
        assert went_out.code == 0, went_out.err
        file = tmp_path / "archive.jsonl"
        file.write_text(went_out.out)
        try:
            came_in = await run(into, str(file), LATCHKEY_MONGODB_DATABASE=elsewhere)
            locks = await database.client[elsewhere]["locks"].find().to_list()
        finally:
            await database.client.drop_database(elsewhere)
        assert came_in.code == 0, came_in.err
        assert "documents are there now" in came_in.err
        assert locks == await database["locks"].find().to_list()


async def test_a_file_that_cannot_be_taken_in_is_refused_with_a_line_for_each_reason(
    run: Run, database: Database, tmp_path: Path
):
    (tmp_path / "bad.jsonl").write_text("no archive\n")
    (tmp_path / "bad.jsonl.gz").write_text("not compressed\n")
    for name, said in (
        ("bad.jsonl", "line 1: This is no archive of Latchkey's\n"),
        ("bad.jsonl.gz", "Not a gzipped file"),
        ("nowhere.jsonl", "No such file or directory"),
    ):
        refused = await run("import", str(tmp_path / name))
        assert refused.code == 1
        assert said in refused.err
        assert "Traceback" not in refused.err


async def test_an_organisation_that_is_not_there_gives_no_file(run: Run, database: Database):
    refused = await run("export", "nowhere")
    assert (refused.code, refused.out) == (1, "")
    assert "There is no organisation with this id" in refused.err
