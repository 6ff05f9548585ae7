"""Reports of locks: each stored once, with the lock's latest reading kept beside it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from server.domain.locks import AckedReports, LatestReading
from server.domain.telemetry import StoredReport, latest_reading
from server.storage.mongo import Database, Document, reports_outages

_DUPLICATE_KEY = 11000


@reports_outages
class ReportStore:
    """The collection ``reports``, and the latest reading in ``locks``."""

    def __init__(self, database: Database) -> None:
        self._reports = database["reports"]
        self._locks = database["locks"]

    async def store(self, reports: Sequence[StoredReport]) -> int:
        """Store each report that is not stored yet; when this returns, all of them are durable.

        Returns:
            How many were new.
        """
        try:
            done = await self._reports.insert_many(
                [_document(stored) for stored in reports], ordered=False
            )
        except BulkWriteError as error:
            details: Mapping[str, Any] = error.details
            if any(failed["code"] != _DUPLICATE_KEY for failed in details["writeErrors"]):
                raise
            return int(details["nInserted"])
        return len(done.inserted_ids)

    async def update_locks(
        self, reports: Sequence[StoredReport], acked: dict[int, AckedReports], now: datetime
    ) -> None:
        """Keep the latest reading, ``acked`` and the time last seen of each of the locks."""
        by_lock: defaultdict[int, list[StoredReport]] = defaultdict(list)
        for stored in reports:
            by_lock[stored.lock_id].append(stored)
        updates: list[UpdateOne] = []
        for lock_id, stored_reports in by_lock.items():
            seen: Document = {"connection.lastSeenAt": now}
            if lock_id in acked:
                seen["acked"] = msgspec.to_builtins(acked[lock_id])
            updates.append(UpdateOne({"_id": lock_id}, {"$set": seen}))
            reading = latest_reading(stored_reports)
            if reading is not None:
                updates.append(_update_reading(lock_id, reading))
        await self._locks.bulk_write(updates, ordered=False)

    async def list_of_lock(self, lock_id: int, org_id: str, limit: int) -> list[Document]:
        """The organisation's newest reports of a lock, newest first, as they are stored."""
        cursor = self._reports.find({"lockId": lock_id, "orgId": org_id}, {"_id": 0})
        return [document async for document in cursor.sort("receivedAt", -1).limit(limit)]


def _document(stored: StoredReport) -> Document:
    document: Document = msgspec.to_builtins(stored.report, builtin_types=(datetime,))
    document.update(
        _id={"lockId": stored.lock_id, "epoch": stored.epoch, "seq": stored.report.seq},
        lockId=stored.lock_id,
        orgId=stored.org_id,
        epoch=stored.epoch,
        receivedAt=stored.received_at,
    )
    return document


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
