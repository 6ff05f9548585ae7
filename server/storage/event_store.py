"""The streams of events of locks, each change of state together with its events."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.errors import LockNotFound
from server.domain.events import EventData, RecordedEvent, event_data, event_type
from server.domain.secrets import new_id
from server.storage.mongo import Database, Documents, reports_outages

Transaction = AsyncIOMotorClientSession
Change = Callable[[Transaction], Awaitable[None]]
"""A change of state that takes part in a transaction; it may run again, so it keeps nothing."""

_events = Documents(RecordedEvent)


@reports_outages
class EventStore:
    """The collection ``events``, and the field ``version`` of ``locks`` that numbers them."""

    def __init__(self, database: Database) -> None:
        self._client = database.client
        self._locks = database["locks"]
        self._events = database["events"]

    async def record(
        self, events: Sequence[EventData], now: datetime, change: Change | None = None
    ) -> list[RecordedEvent]:
        """Append events to their locks' streams, in one transaction with ``change``.

        Either all of it happens or nothing does, and versions have no gap.

        Raises:
            LockNotFound: the lock of an event is gone.
            Exception: whatever ``change`` raises; then nothing happened.
        """
        recorded: list[RecordedEvent] = []

        async def work(transaction: Transaction) -> None:
            recorded.clear()
            if change is not None:
                await change(transaction)
            by_lock: defaultdict[int, list[EventData]] = defaultdict(list)
            for event in events:
                by_lock[event.lock_id].append(event)
            for lock_id in sorted(by_lock):
                recorded.extend(await self._number(lock_id, by_lock[lock_id], now, transaction))
            if recorded:
                documents = [_events.write(event) for event in recorded]
                await self._events.insert_many(documents, session=transaction)

        async with await self._client.start_session() as session:
            await session.with_transaction(work)
        return recorded

    async def record_once(self, event_id: str, event: EventData, now: datetime) -> bool:
        """Append an event unless one with this id was recorded before.

        Returns:
            Whether it is new.
        """

        async def work(transaction: Transaction) -> None:
            numbered = await self._number(event.lock_id, [event], now, transaction, event_id)
            await self._events.insert_one(_events.write(numbered[0]), session=transaction)

        if await self._events.find_one({"_id": event_id}, {"_id": 1}) is not None:
            return False
        try:
            async with await self._client.start_session() as session:
                await session.with_transaction(work)
        except DuplicateKeyError:
            return False
        return True

    async def count(self, lock_id: int) -> int:
        """How many events the lock's stream has."""
        return await self._events.count_documents({"lockId": lock_id})

    async def list_of_lock(
        self, lock_id: int, after_version: int, limit: int
    ) -> list[RecordedEvent]:
        """A lock's events in order, from the one after ``after_version``."""
        wanted = {"lockId": lock_id, "version": {"$gt": after_version}}
        cursor = self._events.find(wanted).sort("version", 1).limit(limit)
        return [_events.read(document) async for document in cursor]

    async def _number(
        self,
        lock_id: int,
        events: Sequence[EventData],
        now: datetime,
        transaction: Transaction,
        event_id: str | None = None,
    ) -> list[RecordedEvent]:
        lock = await self._locks.find_one_and_update(
            {"_id": lock_id},
            {"$inc": {"version": len(events)}},
            projection={"version": 1, "orgId": 1},
            return_document=ReturnDocument.AFTER,
            session=transaction,
        )
        if lock is None:
            raise LockNotFound
        first = lock["version"] - len(events) + 1
        return [
            RecordedEvent(
                id=event_id or new_id(),
                org_id=lock["orgId"],
                lock_id=lock_id,
                version=version,
                type=event_type(event),
                recorded_at=now,
                data=event_data(event),
            )
            for version, event in enumerate(events, start=first)
        ]
