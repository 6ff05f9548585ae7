"""The streams of events of locks, each change of state together with its events."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from server.domain.errors import ChangedMeanwhile, LockNotFound
from server.domain.events import EventData, RecordedEvent, event_data, event_type
from server.domain.secrets import new_id
from server.storage.mongo import Database, Documents, Transaction, in_transaction, reports_outages

Change = Callable[[Transaction], Awaitable[None]]
"""A change of state that takes part in a transaction; it may run again, so it keeps nothing."""
TellingChange = Callable[[Transaction], Awaitable[Sequence[EventData]]]
"""A change of state that returns its events."""
_Told = Callable[[Transaction], Awaitable[Sequence[tuple[str, EventData]]]]

_TRIES = 3
_DUPLICATE_KEY = 11000

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

        async def changed(transaction: Transaction) -> Sequence[EventData]:
            if change is not None:
                await change(transaction)
            return events

        return await self.record_outcome(changed, now)

    async def record_outcome(self, change: TellingChange, now: datetime) -> list[RecordedEvent]:
        """As ``record``, for a change that knows its events only once it is made."""

        async def told(transaction: Transaction) -> list[tuple[str, EventData]]:
            return [(new_id(), event) for event in await change(transaction)]

        return await self._append(told, now)

    async def record_once(self, event_id: str, event: EventData, now: datetime) -> bool:
        """Append an event unless one with this id was recorded before.

        Returns:
            Whether it is new.
        """
        return await self.record_each_once({event_id: event}, now) == 1

    async def record_each_once(self, events: Mapping[str, EventData], now: datetime) -> int:
        """Append those of these events whose ids were not recorded before, all in one go.

        Returns:
            How many are new.

        Raises:
            LockNotFound: the lock of an event is gone.
            ChangedMeanwhile: others record the same events at the same time, again and again.
        """
        for _ in range(_TRIES):
            cursor = self._events.find({"_id": {"$in": list(events)}}, {"_id": 1})
            known = {document["_id"] async for document in cursor}
            new = [(event_id, event) for event_id, event in events.items() if event_id not in known]
            if not new:
                return 0

            async def told(
                _: Transaction, new: list[tuple[str, EventData]] = new
            ) -> list[tuple[str, EventData]]:
                return new

            try:
                return len(await self._append(told, now))
            except BulkWriteError as error:
                if error.details["writeErrors"][0]["code"] != _DUPLICATE_KEY:
                    raise
        raise ChangedMeanwhile

    async def find(self, event_id: str) -> RecordedEvent | None:
        """The event with that id."""
        document = await self._events.find_one({"_id": event_id})
        return None if document is None else _events.read(document)

    async def _append(self, told: _Told, now: datetime) -> list[RecordedEvent]:
        recorded: list[RecordedEvent] = []

        async def work(transaction: Transaction) -> None:
            recorded.clear()
            by_lock: defaultdict[int, list[tuple[str, EventData]]] = defaultdict(list)
            for event_id, event in await told(transaction):
                by_lock[event.lock_id].append((event_id, event))
            if by_lock:
                recorded.extend(await self._number(by_lock, now, transaction))
                documents = [_events.write(event) for event in recorded]
                await self._events.insert_many(documents, session=transaction)

        await in_transaction(self._client, work)
        return recorded

    async def _number(
        self,
        by_lock: Mapping[int, Sequence[tuple[str, EventData]]],
        now: datetime,
        transaction: Transaction,
    ) -> list[RecordedEvent]:
        # In the order of their numbers, so that two who number the same locks wait for each
        # other. What is counted here nobody else can count until this transaction is over.
        await self._locks.bulk_write(
            [
                UpdateOne({"_id": lock_id}, {"$inc": {"version": len(by_lock[lock_id])}})
                for lock_id in sorted(by_lock)
            ],
            session=transaction,
        )
        cursor = self._locks.find(
            {"_id": {"$in": list(by_lock)}}, {"version": 1, "orgId": 1}, session=transaction
        )
        locks = {document["_id"]: document async for document in cursor}
        if len(locks) < len(by_lock):
            raise LockNotFound
        return [
            RecordedEvent(
                id=event_id,
                org_id=locks[lock_id]["orgId"],
                lock_id=lock_id,
                version=version,
                type=event_type(event),
                recorded_at=now,
                data=event_data(event),
            )
            for lock_id in sorted(by_lock)
            for version, (event_id, event) in enumerate(
                by_lock[lock_id], start=locks[lock_id]["version"] - len(by_lock[lock_id]) + 1
            )
        ]
