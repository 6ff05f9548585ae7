"""Reading out what is stored, as it was at one instant: an organisation, or everything.

An archive is lines of MongoDB's Extended JSON. The first says of what kind it is, each of the
next holds one document, and the last has the number of lines and their SHA-256. The same content
always gives the same lines.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import UTC
from typing import Any

from bson import json_util
from bson.json_util import JSONOptions
from msgspec import Struct
from pymongo.errors import OperationFailure

from server.domain.database_errors import SnapshotTooOld
from server.domain.errors import OrganizationNotFound
from server.storage.migrations import MIGRATIONS
from server.storage.mongo import (
    Database,
    Document,
    Transaction,
    reporting_outages,
    reports_outages,
)

FORMAT = 1
AS_JSON = JSONOptions(
    json_mode=json_util.JSONMode.RELAXED, tz_aware=True, tzinfo=UTC, document_class=dict
)

LAST = ("apiKeys", "organizations")
"""What is read out, and so taken in, at the end: until then nobody can use the rest."""

EXPORTED = ("locks", "tempKeys", "pins", "commands", "events", "reports", *LAST)
"""The collections of which an organisation has documents of its own, in their order."""

NOT_EXPORTED: Mapping[str, str] = {
    "counters": "follows from the events",
    "guesses": "of this installation's lock-outs",
    "nodes": "of this installation's processes",
    "operatorSessions": "whoever is signed in signs in again",
    "schema": "in the first line",
    "secrets": "the installation's own, in clear",
    "webhooks": "sealed with this installation's secret: whoever receives them subscribes anew",
    "webhookLags": "goes with the webhooks",
    "deliveries": "goes with the webhooks",
}
"""The others, and why an organisation's archive is whole without them."""

_OF_THE_MOMENT = ("nodes", "guesses")
_SNAPSHOT_IS_GONE = (239, 246)  # MongoDB's error codes


class Head(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line; without an ``organization`` the archive holds everything."""

    latchkey: int
    schema: int
    organization: str | None


def write_line(fields: Mapping[str, Any]) -> bytes:
    """One line of an archive."""
    return json_util.dumps(fields, json_options=AS_JSON, separators=(",", ":")).encode() + b"\n"


@reports_outages
class ArchiveReader:
    """Reads a database out, in one snapshot: what is written meanwhile is not in it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def organization(self, org_id: str) -> AsyncIterator[bytes]:
        """The lines of an organisation's archive.

        Raises:
            OrganizationNotFound: there is no such organisation.
            SnapshotTooOld, StorageUnavailable: the lines so far are no whole archive.
        """
        if await self._database["organizations"].find_one({"_id": org_id}) is None:
            raise OrganizationNotFound
        return self._lines(
            Head(latchkey=FORMAT, schema=len(MIGRATIONS), organization=org_id),
            {name: _of_organization(name, org_id) for name in EXPORTED},
        )

    async def everything(self) -> AsyncIterator[bytes]:
        """The lines of a backup: every collection but what is of the moment only.

        Raises:
            SnapshotTooOld, StorageUnavailable: the lines so far are no whole archive.
        """
        names = set(await self._database.list_collection_names())
        names -= {*_OF_THE_MOMENT, *LAST}
        ordered = [*sorted(name for name in names if not name.startswith("system.")), *LAST]
        schema = await self._database["schema"].find_one()
        return self._lines(
            Head(
                latchkey=FORMAT,
                schema=0 if schema is None else schema["version"],
                organization=None,
            ),
            {name: (name, []) for name in ordered},
        )

    async def _lines(
        self, head: Head, selections: Mapping[str, tuple[str, list[Document]]]
    ) -> AsyncIterator[bytes]:
        seen = hashlib.sha256()
        count = 0
        first = {"latchkey": head.latchkey, "schema": head.schema}
        async with await self._database.client.start_session(snapshot=True) as snapshot:
            line = write_line({**first, "organization": head.organization})
            seen.update(line)
            yield line
            for name, (source, pipeline) in selections.items():
                async for document in self._documents(source, pipeline, snapshot):
                    line = write_line({"in": name, "document": document})
                    seen.update(line)
                    count += 1
                    yield line
        yield write_line({"documents": count, "sha256": seen.hexdigest()})

    async def _documents(
        self, source: str, pipeline: list[Document], snapshot: Transaction
    ) -> AsyncIterator[Document]:
        steps = [*pipeline, {"$sort": {"_id": 1}}]
        cursor = self._database[source].aggregate(steps, session=snapshot, allowDiskUse=True)
        try:
            with reporting_outages():
                async for document in cursor:
                    yield document
        except OperationFailure as error:
            if error.code in _SNAPSHOT_IS_GONE:
                raise SnapshotTooOld from error
            raise


def _of_organization(name: str, org_id: str) -> tuple[str, list[Document]]:
    """Where an organisation's documents of a collection come from, and how."""
    if name == "organizations":
        return name, [{"$match": {"_id": org_id}}]
    if name != "pins":
        return name, [{"$match": {"orgId": org_id}}]
    found = {"from": "pins", "localField": "_id", "foreignField": "_id", "as": "pin"}
    return "tempKeys", [
        {"$match": {"orgId": org_id}},
        {"$project": {"_id": 1}},
        {"$lookup": found},
        {"$unwind": "$pin"},
        {"$replaceRoot": {"newRoot": "$pin"}},
    ]
