"""Reading events: a lock's in the order of their versions, everybody's in one order for all.

An event has its place in the order of all locks only some time after it was recorded:
transactions do not end in the order in which they began, so a place that was given inside
them could come in behind the back of a reader who has passed it already.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from pymongo import ReturnDocument, UpdateOne
from pymongo.read_concern import ReadConcern

from server.domain.events import RecordedEvent
from server.domain.locks import Lock
from server.storage.mark_store import UNPLACED
from server.storage.mongo import (
    Database,
    Document,
    Documents,
    Transaction,
    in_transaction,
    reports_outages,
)

_COUNTER = "events"

_events = Documents(RecordedEvent)


@reports_outages
class EventLog:
    """The collection ``events`` for its readers, and the counter that gives them their order."""

    def __init__(self, database: Database) -> None:
        self._client = database.client
        self._events = database["events"]
        self._counters = database["counters"]
        # A place that a lost primary gave and no other node has may be given to another event,
        # behind the back of whoever went on after it. So readers see only what is settled.
        self._settled = self._events.with_options(read_concern=ReadConcern("majority"))

    async def count_of_lock(self, lock_id: int, org_id: str) -> int:
        """How many events a lock has had in this organisation."""
        return await self._events.count_documents({"lockId": lock_id, "orgId": org_id})

    async def list_of_lock(
        self, lock_id: int, org_id: str, skip: int, limit: int
    ) -> list[RecordedEvent]:
        """A lock's events in this organisation, in the order of their versions."""
        cursor = self._events.find({"lockId": lock_id, "orgId": org_id}).sort("version", 1)
        return [_events.read(document) async for document in cursor.skip(skip).limit(limit)]

    async def newest_of_lock(self, lock_id: int, org_id: str) -> RecordedEvent | None:
        """A lock's newest event in this organisation."""
        document = await self._events.find_one(
            {"lockId": lock_id, "orgId": org_id}, sort=[("version", -1)]
        )
        return None if document is None else _events.read(document)

    async def list_in_order(
        self,
        after: int,
        limit: int,
        *,
        org_id: str | None = None,
        locks: Iterable[Lock] | None = None,
        kind: str | None = None,
    ) -> list[RecordedEvent]:
        """Events with their places, from the one after ``after``.

        Of one organisation, of these locks (while they belonged to whom they belong), of
        this type, where that is asked for.
        """
        wanted = _wanted({"$gt": after}, org_id, locks, kind)
        cursor = self._settled.find(wanted).sort("position", 1).limit(limit)
        return [_events.read(document) async for document in cursor]

    async def list_newest(
        self,
        before: int | None,
        limit: int,
        *,
        org_id: str | None = None,
        locks: Iterable[Lock] | None = None,
        kind: str | None = None,
    ) -> list[RecordedEvent]:
        """The same the other way round: from the one before ``before`` back, or from the last."""
        places = {"$gt": 0} if before is None else {"$gt": 0, "$lt": before}
        wanted = _wanted(places, org_id, locks, kind)
        cursor = self._settled.find(wanted).sort("position", -1).limit(limit)
        return [_events.read(document) async for document in cursor]

    async def list_of_lock_in_order(
        self, lock_id: int, org_id: str, after: int, up_to: int, limit: int
    ) -> list[RecordedEvent]:
        """A lock's events in this organisation with places after ``after``, to ``up_to``."""
        wanted = {"lockId": lock_id, "orgId": org_id, "position": {"$gt": after, "$lte": up_to}}
        cursor = self._settled.find(wanted).sort("position", 1).limit(limit)
        return [_events.read(document) async for document in cursor]

    async def newest_place(self) -> int:
        """The place of the newest event that has one; 0 where there is none."""
        newest = await self._settled.find_one({}, {"position": 1}, sort=[("position", -1)])
        return 0 if newest is None else newest["position"]

    async def organizations_after(self, after: int, limit: int) -> tuple[set[str], int]:
        """Whose events have the next places after ``after``, and the last of these places."""
        cursor = self._settled.find({"position": {"$gt": after}}, {"orgId": 1, "position": 1})
        found = [document async for document in cursor.sort("position", 1).limit(limit)]
        last = found[-1]["position"] if found else after
        return {document["orgId"] for document in found}, last

    async def place(self, limit: int) -> int:
        """Give the next places to events that have none; a lock's keep the order of versions.

        Any number of nodes may do this at once: the counter makes them take turns.

        Returns:
            How many were placed.
        """
        if await self._events.find_one(UNPLACED, {"_id": 1}) is None:
            return 0
        placed = 0

        async def work(transaction: Transaction) -> None:
            nonlocal placed
            # By lock and version, so that what is cut off by the limit is never an
            # earlier version of a lock than what is taken.
            cursor = self._events.find(
                UNPLACED,
                {"lockId": 1, "version": 1, "recordedAt": 1},
                session=transaction,
            )
            cursor = cursor.sort([("lockId", 1), ("version", 1)]).limit(limit)
            events = _by_time([document async for document in cursor])
            placed = len(events)
            if not events:
                return
            counter = await self._counters.find_one_and_update(
                {"_id": _COUNTER},
                {"$inc": {"value": placed}},
                upsert=True,
                return_document=ReturnDocument.AFTER,
                session=transaction,
            )
            first = counter["value"] - placed + 1
            places = [
                UpdateOne({"_id": event["_id"]}, {"$set": {"position": position}})
                for position, event in enumerate(events, start=first)
            ]
            await self._events.bulk_write(places, session=transaction)

        await in_transaction(self._client, work)
        return placed


def _wanted(
    places: Document, org_id: str | None, locks: Iterable[Lock] | None, kind: str | None
) -> Document:
    """Events in these places, of an organisation, of these locks, of this type."""
    wanted: Document = {"position": places}
    if org_id is not None:
        wanted["orgId"] = org_id
    if locks is not None:
        by_organization: defaultdict[str, list[int]] = defaultdict(list)
        for lock in locks:
            by_organization[lock.org_id].append(lock.id)
        # Of no lock at all, nothing.
        wanted["$or"] = [
            {"orgId": owner, "lockId": {"$in": lock_ids}}
            for owner, lock_ids in (by_organization or {"": []}).items()
        ]
    if kind is not None:
        wanted["type"] = kind
    return wanted


def _by_time(events: list[Document]) -> list[Document]:
    """Events (by lock and version) in the order of their times, as far as versions allow it."""
    latest: dict[int, datetime] = {}
    for event in events:
        lock_id = event["lockId"]
        latest[lock_id] = max(latest.get(lock_id, event["recordedAt"]), event["recordedAt"])
        event["after"] = latest[lock_id]
    return sorted(events, key=lambda event: event["after"])
