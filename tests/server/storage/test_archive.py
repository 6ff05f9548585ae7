"""Archives: read out of a real database and taken in by another, or refused line by line."""

import gzip
import hashlib
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pymongo.uri_parser import parse_uri
from tornado.ioloop import IOLoop

from server.domain.database_errors import BadArchive, NotEmpty, WrongSchema
from server.domain.errors import OrganizationNotFound, StorageUnavailable
from server.settings import Settings
from server.storage import mongo
from server.storage.archive import EXPORTED, NOT_EXPORTED, ArchiveReader
from server.storage.archive_import import Archive, ArchiveWriter
from server.storage.migrations import MIGRATIONS, prepare
from server.storage.mongo import Database
from tests.faults.proxy import in_front_of

STORAGE = Path(mongo.__file__).parent
NOW = datetime(2026, 5, 4, 3, 2, 1, 987000, tzinfo=UTC)


@pytest.fixture
def elsewhere(io_loop: IOLoop, mongodb_uri: str, settings: Settings) -> Iterator[Database]:
    """An empty database of another installation."""
    client = mongo.connect(mongodb_uri, timeout_s=10)
    name = f"{settings.mongodb_database}_elsewhere"
    io_loop.run_sync(lambda: prepare(client[name]))
    yield client[name]
    io_loop.run_sync(lambda: client.drop_database(name))
    client.close()


async def furnish(database: Database, org_id: str = "org", first: int = 1) -> None:
    """An organisation with a bit of everything, as the stores leave it."""
    times = {"createdAt": NOW, "validFrom": NOW, "validUntil": NOW}
    lock_id, event = first, {"type": "LockCreated", "data": {"lockId": first}}
    await database["organizations"].insert_one({"_id": org_id, "name": "Inn", "createdAt": NOW})
    await database["apiKeys"].insert_one(
        {"_id": f"k-{org_id}", "orgId": org_id, "digest": org_id, "masked": "…", "createdAt": NOW}
    )
    await database["locks"].insert_many(
        {
            "_id": number,
            "uuid": f"lock-{number}",
            "orgId": org_id,
            "name": f"Door {number}",
            "createdAt": NOW,
            "version": 1,
            "tokenDigest": "d1gest",
        }
        for number in range(lock_id, lock_id + 3)
    )
    door = {"id": 1, "lockId": lock_id, "lockUuid": f"lock-{lock_id}"}
    key = {"orgId": org_id, "createdBy": "x", "doors": [door], **times}
    await database["tempKeys"].insert_one({"_id": f"key-{org_id}", **key})
    await database["pins"].insert_one(
        {
            "_id": f"key-{org_id}",
            "locks": [{"lockId": lock_id, "digest": "0a"}],
            "sealed": b"\x00\xff sealed",
            "validUntil": NOW,
        }
    )
    command = {"requestedAt": NOW, "expiresAt": NOW, "state": "opened"}
    await database["commands"].insert_one(
        {"_id": f"c-{org_id}", "orgId": org_id, "lockId": lock_id, **command}
    )
    await database["events"].insert_many(
        {"_id": f"e-{number}", "orgId": org_id, "lockId": number, "version": 1, **event}
        | {"recordedAt": NOW, "position": number}
        for number in range(lock_id, lock_id + 3)
    )
    report = {"type": "telemetry", "seq": 1, "at": NOW, "battery": 5.0, "temperature": 21.5}
    await database["reports"].insert_one(
        {"_id": {"lockId": lock_id, "epoch": "e", "seq": 1}, "lockId": lock_id, "epoch": "e"}
        | {"orgId": org_id, "receivedAt": NOW, **report}
    )


async def export(database: Database, org_id: str = "org") -> bytes:
    lines = await ArchiveReader(database).organization(org_id)
    return b"".join([line async for line in lines])


async def back_up(database: Database) -> bytes:
    return b"".join([line async for line in await ArchiveReader(database).everything()])


def in_file(folder: Path, content: bytes, name: str = "archive.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


async def take_in(database: Database, folder: Path, content: bytes) -> int:
    return await ArchiveWriter(database).write(Archive(in_file(folder, content)))


def written_anew(content: bytes, change: Callable[[list[dict[str, Any]]], None]) -> bytes:
    """An archive after a change of its lines, with an end that fits them."""
    lines = [json.loads(line) for line in content.splitlines()[:-1]]
    change(lines)
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    end = {"documents": len(lines) - 1, "sha256": hashlib.sha256(body).hexdigest()}
    return body + json.dumps(end).encode() + b"\n"


# What goes out comes in


async def test_an_organisation_is_the_same_after_it_was_taken_in_elsewhere(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database)
    await furnish(database, "neighbours", first=11)
    exported = await export(database)
    assert await take_in(elsewhere, tmp_path, exported) == 12
    assert await export(elsewhere) == exported
    for name in EXPORTED:
        before = await database[name].find(of_org(name)).sort("_id", 1).to_list()
        assert await elsewhere[name].find().sort("_id", 1).to_list() == before
        assert before, name


def of_org(name: str) -> dict[str, str]:
    return {"_id": "key-org"} if name == "pins" else {of_name(name): "org"}


def of_name(name: str) -> str:
    return "_id" if name == "organizations" else "orgId"


async def test_new_events_take_their_places_behind_those_that_were_taken_in(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database, first=5)
    await take_in(elsewhere, tmp_path, await export(database))
    counter = await elsewhere["counters"].find_one({"_id": "events"})
    assert counter is not None
    assert counter["value"] == 7


async def test_everything_is_the_same_after_it_was_restored_elsewhere(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database)
    await furnish(database, "neighbours", first=11)
    await database["secrets"].insert_one({"_id": "guest-sessions", "value": "shared"})
    await database["something"].insert_one({"_id": 1, "that": "a later version keeps"})
    backup = await back_up(database)
    await take_in(elsewhere, tmp_path, backup)
    assert await back_up(elsewhere) == backup
    assert b"shared" in backup
    assert b"a later version keeps" in backup


async def test_what_is_written_while_a_backup_runs_is_not_in_it(database: Database):
    await furnish(database)
    quiet = await back_up(database)
    lines = await ArchiveReader(database).everything()
    read = [await anext(lines), await anext(lines)]
    await furnish(database, "late", first=30)
    await database["locks"].update_one({"_id": 1}, {"$set": {"name": "changed"}})
    read += [line async for line in lines]
    assert b"".join(read) == quiet


async def test_a_compressed_archive_is_taken_in(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database)
    exported = await export(database)
    archive = Archive(in_file(tmp_path, gzip.compress(exported), "archive.jsonl.gz"))
    await ArchiveWriter(elsewhere).write(archive)
    assert await export(elsewhere) == exported


async def test_what_broke_off_half_way_is_made_whole_by_the_same_file(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database)
    exported = await export(database)
    await take_in(elsewhere, tmp_path, exported)
    for name in ("reports", "apiKeys", "organizations"):  # as if it had not come so far
        await elsewhere[name].delete_many({})
    await take_in(elsewhere, tmp_path, exported)
    assert await export(elsewhere) == exported


async def test_an_organisation_that_is_not_there_is_not_exported(database: Database):
    with pytest.raises(OrganizationNotFound):
        await ArchiveReader(database).organization("nowhere")


async def test_a_database_that_goes_away_meanwhile_is_said(
    database: Database, mongodb_uri: str, tmp_path: Path
):
    await furnish(database)
    host, port = parse_uri(mongodb_uri)["nodelist"][0]
    async with in_front_of((host, port)) as way:
        uri = f"mongodb://127.0.0.1:{way.port}/?directConnection=true&serverSelectionTimeoutMS=200"
        client = mongo.connect(uri, timeout_s=1)
        lines = await ArchiveReader(client[database.name]).everything()
        await anext(lines)
        await way.keep_out()
        with pytest.raises(StorageUnavailable):
            async for _ in lines:
                pass
        client.close()


def test_of_every_collection_it_is_decided_whether_it_is_exported():
    sources = "".join(path.read_text() for path in STORAGE.glob("*.py"))
    used = set(re.findall(r'database\["(\w+)"\]', sources))
    assert len(used) > 10
    assert used - {*EXPORTED, *NOT_EXPORTED} == set(), "see server/storage/archive.py"


# What does not come in


async def refused(folder: Path, content: bytes) -> list[str]:
    with pytest.raises(BadArchive) as bad:
        Archive(in_file(folder, content))
    return str(bad.value).splitlines()


def changed(index: int, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(lines: list[dict[str, Any]]) -> None:
        lines[index]["document"].update(fields)

    return change


async def test_each_bad_line_is_named_with_its_field(database: Database, tmp_path: Path):
    await furnish(database)

    def change(lines: list[dict[str, Any]]) -> None:
        lines[1]["document"]["name"] = 7
        del lines[2]["document"]["uuid"]
        lines[3]["document"]["orgId"] = "another"
        lines[4]["document"]["doors"][0]["lockId"] = "one"
        lines[5]["in"] = "users"
        del lines[6]["document"]["_id"]
        del lines[10]["document"]["receivedAt"]

    said = await refused(tmp_path, written_anew(await export(database), change))
    assert said == [
        "line 2: locks.name: Expected `str`, got `int`",
        "line 3: locks: Object missing required field `uuid`",
        "line 4: locks.orgId: Is not that of the organisation in line 1",
        "line 5: tempKeys.doors[0].lockId: Expected `int`, got `str`",
        "line 6: users: There is no such collection",
        "line 7: Must have `in` and `document`, and that an `_id`",
        "line 11: reports: Object missing required field `receivedAt`",
    ]


async def test_of_very_many_bad_lines_the_first_twenty_are_named(
    database: Database, tmp_path: Path
):
    await furnish(database)

    def change(lines: list[dict[str, Any]]) -> None:
        lines[1:] = [{"in": "locks", "document": {"_id": 1, "orgId": "org"}}] * 50

    said = await refused(tmp_path, written_anew(await export(database), change))
    assert len(said) == 21


async def test_a_line_that_was_changed_by_hand_is_found_out(database: Database, tmp_path: Path):
    await furnish(database)
    said = await refused(tmp_path, (await export(database)).replace(b"Door 1", b"Door 9"))
    assert said == ["line 14: sha256: The lines above are not those that were written"]


async def test_an_archive_that_breaks_off_is_found_out(database: Database, tmp_path: Path):
    await furnish(database)
    exported = await export(database)
    whole_lines = exported.splitlines(keepends=True)
    assert await refused(tmp_path, b"".join(whole_lines[:5])) == [
        "line 6: The archive breaks off here"
    ]
    assert await refused(tmp_path, b"".join(whole_lines[:5]) + b'{"in":"locks"') == [
        "line 6: Is not readable as JSON",
        "line 7: The archive breaks off here",
    ]
    assert await refused(tmp_path, exported + b"more\n") == [
        "line 15: There is something after the end"
    ]


@pytest.mark.parametrize("content", [b"", b"\xff\n", b"{}\n", b"[]\n", b'{"latchkey":1}\n'])
async def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes):
    assert await refused(tmp_path, content) == ["line 1: This is no archive of Latchkey's"]


async def test_another_format_is_refused(tmp_path: Path):
    content = b'{"latchkey":2,"schema":1,"organization":null}\n'
    assert await refused(tmp_path, content) == ["line 1: latchkey: This server reads format 1 only"]


@pytest.mark.parametrize("schema", [0, len(MIGRATIONS) + 1])
async def test_an_organisation_of_another_schema_is_refused(tmp_path: Path, schema: int):
    head = {"latchkey": 1, "schema": schema, "organization": "org"}
    with pytest.raises(WrongSchema):
        Archive(in_file(tmp_path, json.dumps(head).encode() + b"\n"))


async def test_a_backup_of_an_older_schema_is_restored_as_it_was(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database)
    await database["schema"].update_one({}, {"$set": {"version": 0}})
    await take_in(elsewhere, tmp_path, await back_up(database))
    with pytest.raises(WrongSchema):
        await prepare(elsewhere)


async def test_a_database_with_an_organisation_takes_nothing_in(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database)
    await furnish(elsewhere, "another", first=20)
    for content in (await export(database), await back_up(database)):
        with pytest.raises(NotEmpty, match=r"organizations|locks|apiKeys"):
            await take_in(elsewhere, tmp_path, content)
    assert await elsewhere["locks"].count_documents({"orgId": "org"}) == 0


async def test_two_locks_that_claim_one_uuid_are_refused(
    database: Database, elsewhere: Database, tmp_path: Path
):
    await furnish(database)
    twice = written_anew(await export(database), changed(2, uuid="lock-1"))
    with pytest.raises(BadArchive, match=r"locks: .*lock-1"):
        await take_in(elsewhere, tmp_path, twice)
