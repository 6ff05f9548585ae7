"""Taking in what ``archive`` has read out: first all of it is looked at, then all is written.

Everything is written by its id, and organisations and API keys come last: so what breaks off
half way is of no use to anybody, and is made whole by taking in the same file again.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import msgspec
from bson import json_util
from msgspec import Struct
from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError

from server.domain.commands import OpenCommand
from server.domain.database_errors import BadArchive, NotEmpty, WrongSchema
from server.domain.events import RecordedEvent
from server.domain.locks import Lock
from server.domain.organizations import ApiKey, Organization
from server.domain.temp_keys import TempKey
from server.storage.archive import AS_JSON, EXPORTED, FORMAT, LAST, Head
from server.storage.migrations import MIGRATIONS, SchemaStore
from server.storage.mongo import Database, Document, Documents, create_indexes, reports_outages
from server.storage.pin_store import StoredPin
from server.storage.report_store import read_report

_MOST_LINE_BYTES = 64 * 1024 * 1024
"""MongoDB's largest document has 16 MiB, and JSON makes more of it."""

_MOST_AT_ONCE = 500
_MOST_PROBLEMS = 20

_READ: Mapping[str, Callable[[Document], object]] = {
    "locks": Documents(Lock).read,
    "tempKeys": Documents(TempKey, id_name="uuid").read,
    "pins": Documents(StoredPin, id_name="keyUuid").read,
    "commands": Documents(OpenCommand).read,
    "events": Documents(RecordedEvent).read,
    "reports": read_report,
    "apiKeys": Documents(ApiKey).read,
    "organizations": Documents(Organization).read,
}


class _Line(Struct, frozen=True, kw_only=True):
    number: int
    collection: str
    document: Document


class Archive:
    """A file with an archive, compressed where its name ends in ``.gz``."""

    def __init__(self, path: Path) -> None:
        """Look at all of it.

        Raises:
            OSError: it cannot be read.
            BadArchive: something in it is not as it must be.
            WrongSchema: it is of another schema than this server's (a backup: of a newer one).
        """
        self._path = path
        with self._open() as file:
            self.head = _read_head(file.readline(_MOST_LINE_BYTES))
            self._check_schema()
        if problems := list(self._problems()):
            raise BadArchive(*problems)

    def documents(self) -> Iterator[tuple[str, Document]]:
        """Each document, with the name of its collection."""
        for line in self._lines():
            if isinstance(line, _Line):
                yield line.collection, line.document

    @property
    def org_id(self) -> str | None:
        """Whose archive it is; None where it holds everything."""
        return self.head.organization

    def _open(self) -> BinaryIO:
        opened = gzip.open if self._path.suffix == ".gz" else open
        return cast(BinaryIO, opened(self._path, "rb"))

    def _check_schema(self) -> None:
        ours = len(MIGRATIONS)
        if self.head.schema > ours or (self.org_id is not None and self.head.schema < ours):
            raise WrongSchema(self.head.schema, ours)

    def _problems(self) -> Iterator[str]:
        left = _MOST_PROBLEMS
        for line in self._lines():
            problem = line if isinstance(line, str) else self._problem(line)
            if problem is not None:
                yield problem
                left -= 1
            if left == 0:
                yield "There may be more"
                return

    def _lines(self) -> Iterator[_Line | str]:
        """Each document's line, or what is wrong with it; then what is wrong with the whole."""
        seen = hashlib.sha256()
        with self._open() as file:
            before = file.readline(_MOST_LINE_BYTES)
            number = 1
            while line := file.readline(_MOST_LINE_BYTES):
                number += 1
                fields = _decode(line)
                seen.update(before)
                if isinstance(fields, dict) and set(fields) == {"documents", "sha256"}:
                    yield from _problems_of_end(fields, number, seen.hexdigest(), file)
                    return
                before = line
                yield _as_line(number, fields)
        yield f"line {number + 1}: The archive breaks off here"

    def _problem(self, line: _Line) -> str | None:
        where = f"line {line.number}: {line.collection}"
        if self.org_id is not None:
            if line.collection not in EXPORTED:
                return f"{where}: There is no such collection"
            owner = "_id" if line.collection == "organizations" else "orgId"
            if line.collection != "pins" and line.document.get(owner) != self.org_id:
                return f"{where}.{owner}: Is not that of the organisation in line 1"
        read = _READ.get(line.collection)
        if read is None or self.head.schema != len(MIGRATIONS):
            return None
        try:
            read(line.document)
        except msgspec.ValidationError as error:
            said, _, path = str(error).partition(" - at `$")
            return f"{where}{path.rstrip('`')}: {said}"
        except KeyError as error:
            return f"{where}: Object missing required field `{error.args[0]}`"
        return None


def _read_head(line: bytes) -> Head:
    try:
        head = msgspec.json.decode(line, type=Head)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadArchive("line 1: This is no archive of Latchkey's") from error
    if head.latchkey != FORMAT:
        raise BadArchive(f"line 1: latchkey: This server reads format {FORMAT} only")
    return head


def _decode(line: bytes) -> Any:
    try:
        return json_util.loads(line.decode(), json_options=AS_JSON)
    except (ValueError, TypeError, RecursionError, json.JSONDecodeError):
        return None


def _as_line(number: int, fields: Any) -> _Line | str:
    match fields:
        case {"in": str(name), "document": {"_id": _, **_rest} as document} if len(fields) == 2:
            return _Line(number=number, collection=name, document=document)
        case None:
            return f"line {number}: Is not readable as JSON"
        case _:
            return f"line {number}: Must have `in` and `document`, and that an `_id`"


def _problems_of_end(
    end: Mapping[str, Any], number: int, sha256: str, file: BinaryIO
) -> Iterator[str]:
    if end["documents"] != number - 2:
        yield f"line {number}: documents: Is {end['documents']}, and there are {number - 2}"
    if end["sha256"] != sha256:
        yield f"line {number}: sha256: The lines above are not those that were written"
    if file.read(1):
        yield f"line {number + 1}: There is something after the end"


@reports_outages
class ArchiveWriter:
    """Writes an archive into a database that holds nothing else."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, archive: Archive) -> int:
        """Take an archive in.

        Returns:
            How many documents it has.

        Raises:
            NotEmpty: there are organisations or API keys already.
            WrongSchema: the database is of another schema.
            BadArchive: two of its documents claim what only one may have.
        """
        if archive.org_id is not None:
            await SchemaStore(self._database).check()
            await self._refuse_what_is_there("locks", {"orgId": {"$ne": archive.org_id}})
        for name in LAST:
            await self._refuse_what_is_there(name, {})
        await create_indexes(self._database)
        written = 0
        waiting: list[Document] = []
        collection = ""
        for name, document in archive.documents():
            if name != collection or len(waiting) == _MOST_AT_ONCE:
                written += await self._flush(collection, waiting)
                collection = name
            waiting.append(document)
        written += await self._flush(collection, waiting)
        if archive.org_id is not None:
            await self._continue_places()
        return written

    async def _continue_places(self) -> None:
        """Let events that come from now on take their places behind those that were taken in."""
        last = await self._database["events"].find_one({}, sort=[("position", -1)])
        await self._database["counters"].update_one(
            {"_id": "events"},
            {"$max": {"value": 0 if last is None else last["position"]}},
            upsert=True,
        )

    async def _refuse_what_is_there(self, name: str, wanted: Document) -> None:
        if await self._database[name].find_one(wanted) is not None:
            raise NotEmpty(f"The database has {name} already. An archive wants one of its own")

    async def _flush(self, name: str, waiting: list[Document]) -> int:
        """Write what waits for a collection, and let nothing wait any more."""
        if not waiting:
            return 0
        replacing = [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in waiting]
        try:
            await self._database[name].bulk_write(replacing, ordered=False)
        except BulkWriteError as error:
            raise BadArchive(f"{name}: {error.details['writeErrors'][0]['errmsg']}") from error
        count = len(waiting)
        waiting.clear()
        return count
