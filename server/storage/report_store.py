"""Reports of locks: each stored once, with the lock's latest reading kept beside it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, OperationFailure

from server.domain.errors import StorageUnavailable
from server.domain.lock_news import TOLD
from server.domain.locks import AckedReports, LatestReading
from server.domain.protocol import Event, Telemetry
from server.domain.telemetry import StoredReport, clock_skew_ms, latest_reading
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

    async def update_locks(
        self, reports: Sequence[StoredReport], acked: dict[int, AckedReports], now: datetime
    ) -> None:
        """Keep what is now known of each lock: its latest reading, ``acked``, its clock's skew."""
        by_lock: defaultdict[int, list[StoredReport]] = defaultdict(list)
        for stored in reports:
            by_lock[stored.lock_id].append(stored)
        updates: list[UpdateOne] = []
        for lock_id, stored_reports in by_lock.items():
            seen: Document = {"connection.lastSeenAt": now}
            skew_ms = clock_skew_ms(stored_reports)
            if skew_ms is not None:
                seen["connection.clockSkewMs"] = skew_ms
            if lock_id in acked:
                seen["acked"] = msgspec.to_builtins(acked[lock_id])
            updates.append(UpdateOne({"_id": lock_id}, {"$set": seen}))
            reading = latest_reading(stored_reports)
            if reading is not None:
                updates.append(_update_reading(lock_id, reading))
        await self._locks.bulk_write(updates, ordered=False)

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
        cursor = self._reports.find({"untold": True}).limit(limit)
        return [read_report(document) async for document in cursor]

    async def told(self, reports: Sequence[StoredReport]) -> None:
        """Note that the events of these reports are recorded."""
        if reports:
            ids = [_id(stored) for stored in reports]
            await self._reports.update_many({"_id": {"$in": ids}}, {"$unset": {"untold": ""}})


def _document(stored: StoredReport) -> Document:
    document: Document = msgspec.to_builtins(stored.report, builtin_types=(datetime,))
    if isinstance(stored.report, Event) and stored.report.event in TOLD:
        document["untold"] = True
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


def _update_reading(lock_id: int, reading: LatestReading) -> UpdateOne:
    fields: Document = msgspec.to_builtins(reading, builtin_types=(datetime,))
    carried = {f"telemetry.{name}": value for name, value in fields.items() if value is not None}
    is_newer = {
        "$or": [
            {"telemetry": None},
            {"telemetry.epoch": {"$ne": reading.epoch}},
            {"telemetry.seq": {"$lt": reading.seq}},
        ]
    }
    if_absent = {"_id": lock_id, **is_newer}
    return UpdateOne(if_absent, {"$set": carried})
