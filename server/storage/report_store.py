"""Reports of locks: each stored once, with the lock's latest reading kept beside it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure

from server.domain.errors import StorageUnavailable
from server.domain.lock_news import TOLD
from server.domain.protocol import Event, Telemetry
from server.domain.telemetry import KnownOfLock, StoredReport
from server.storage.mark_store import UNTOLD
from server.storage.mongo import Database, Document, reports_outages

_DUPLICATE_KEY = 11000
_INDEX_WITH_OTHER_OPTIONS = 85


@reports_outages
class ReportStore:
    """The collection ``reports``, and the latest reading in ``locks``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reports = database["reports"]
        self._locks = database["locks"]

    async def forget_after(self, kept: timedelta) -> None:
        """Have MongoDB delete each report that came in longer ago, now and from now on."""
        seconds = int(kept.total_seconds())
        try:
            await self._reports.create_index("receivedAt", expireAfterSeconds=seconds)
        except OperationFailure as error:
            if error.code != _INDEX_WITH_OTHER_OPTIONS:
                raise
            index = {"keyPattern": {"receivedAt": 1}, "expireAfterSeconds": seconds}
            await self._database.command("collMod", "reports", index=index)

    async def store(self, reports: Sequence[StoredReport]) -> int:
        """Store each report that is not stored yet; when this returns, all of them are durable.

        Returns:
            How many were new.

        Raises:
            StorageUnavailable: not all of them are certainly durable.
        """
        try:
            done = await self._reports.insert_many(
                [_document(stored) for stored in reports], ordered=False
            )
        except BulkWriteError as error:
            details: Mapping[str, Any] = error.details
            if details["writeConcernErrors"]:
                raise StorageUnavailable from error
            if any(failed["code"] != _DUPLICATE_KEY for failed in details["writeErrors"]):
                raise
            return int(details["nInserted"])
        return len(done.inserted_ids)

    async def update_locks(self, known: Mapping[int, KnownOfLock]) -> None:
        """Keep with each lock what is now known of it; a reading that is not newer changes nothing.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        both = [_update(lock_id, news, with_reading=True) for lock_id, news in known.items()]
        if not both:
            return
        done = await self._locks.bulk_write(both, ordered=False)
        if done.matched_count < len(both):
            # Where a reading was not newer, the rest is to be kept all the same.
            rest = [_update(lock_id, news, with_reading=False) for lock_id, news in known.items()]
            await self._locks.bulk_write(rest, ordered=False)

    async def list_of_lock(self, lock_id: int, org_id: str, limit: int) -> list[Document]:
        """The organisation's newest reports of a lock, newest first, as they are stored."""
        wanted = {"lockId": lock_id, "orgId": org_id}
        cursor = self._reports.find(wanted, {"_id": 0, "untold": 0}).sort("receivedAt", -1)
        return [document async for document in cursor.limit(limit)]

    async def list_readings(
        self,
        lock_id: int,
        org_id: str,
        limit: int,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> list[StoredReport]:
        """The organisation's newest readings of a lock, newest first, by when they came in."""
        wanted: Document = {"lockId": lock_id, "orgId": org_id, "type": "telemetry"}
        window = {"$gte": since, "$lt": until}
        window = {bound: instant for bound, instant in window.items() if instant is not None}
        if window:
            wanted["receivedAt"] = window
        cursor = self._reports.find(wanted).sort([("receivedAt", -1), ("seq", -1)]).limit(limit)
        return [read_report(document) async for document in cursor]

    async def untold(self, limit: int) -> list[StoredReport]:
        """Reports whose events are not recorded yet."""
        cursor = self._reports.find(UNTOLD).limit(limit)
        return [read_report(document) async for document in cursor]

    async def told(self, reports: Sequence[StoredReport]) -> None:
        """Note that the events of these reports are recorded."""
        if reports:
            ids = [_id(stored) for stored in reports]
            await self._reports.update_many({"_id": {"$in": ids}}, {"$unset": {"untold": ""}})


def _document(stored: StoredReport) -> Document:
    document: Document = msgspec.to_builtins(stored.report, builtin_types=(datetime,))
    if isinstance(stored.report, Event) and stored.report.event in TOLD:
        document |= UNTOLD
    document.update(
        _id=_id(stored),
        lockId=stored.lock_id,
        orgId=stored.org_id,
        epoch=stored.epoch,
        receivedAt=stored.received_at,
    )
    return document


def _id(stored: StoredReport) -> Document:
    return {"lockId": stored.lock_id, "epoch": stored.epoch, "seq": stored.report.seq}


def read_report(document: Document) -> StoredReport:
    """The report that a document of the collection stores."""
    return StoredReport(
        lock_id=document["lockId"],
        org_id=document["orgId"],
        epoch=document["epoch"],
        received_at=document["receivedAt"],
        report=msgspec.convert(document, Telemetry | Event),
    )


def _update(lock_id: int, known: KnownOfLock, *, with_reading: bool) -> UpdateOne:
    fields: Document = {"connection.lastSeenAt": known.seen_at}
    if known.clock_skew_ms is not None:
        fields["connection.clockSkewMs"] = known.clock_skew_ms
    if known.acked is not None:
        fields["acked"] = {"epoch": known.acked.epoch, "seq": known.acked.seq}
    reading = known.reading
    if reading is None or not with_reading:
        return UpdateOne({"_id": lock_id}, {"$set": fields})
    carried: Document = msgspec.to_builtins(reading, builtin_types=(datetime,))
    for name, value in carried.items():
        if value is not None:
            fields[f"telemetry.{name}"] = value
    is_newer = [
        {"telemetry": None},
        {"telemetry.epoch": {"$ne": reading.epoch}},
        {"telemetry.seq": {"$lt": reading.seq}},
    ]
    return UpdateOne({"_id": lock_id, "$or": is_newer}, {"$set": fields})
