"""What an operator may read of locks: their events, their readings, their latest messages."""

from datetime import datetime

from msgspec import Struct

from server.domain.commands import OpenCommand
from server.domain.events import RecordedEvent
from server.domain.locks import Lock
from server.domain.organizations import Operator
from server.domain.telemetry import StoredReport
from server.storage.command_store import CommandStore
from server.storage.event_log import EventLog
from server.storage.lock_store import LockStore
from server.storage.mongo import Document
from server.storage.report_store import ReportStore

EVENTS_ON_A_PAGE = 10


class EventPage(Struct, frozen=True, kw_only=True):
    """A page of a lock's events, oldest first; pages count from 1."""

    events: list[RecordedEvent]
    total: int
    page: int

    @property
    def size(self) -> int:
        """How many events a full page has."""
        return EVENTS_ON_A_PAGE

    @property
    def pages(self) -> int:
        """How many pages there are; one, where there is no event."""
        return pages_of(self.total)


class Messages(Struct, frozen=True, kw_only=True):
    """The newest open commands of a lock and the newest it has said itself, newest first."""

    commands: list[OpenCommand]
    reports: list[Document]


class LockQueries:
    """Reads what is kept about locks.

    Every query about a lock raises ``LockNotFound`` where the caller has no such lock; it
    shows what happened while the lock belonged to its present organisation.
    """

    def __init__(
        self, locks: LockStore, commands: CommandStore, reports: ReportStore, events: EventLog
    ) -> None:
        self._locks = locks
        self._commands = commands
        self._reports = reports
        self._events = events

    async def lock_as_of(self, operator: Operator, lock_id: int) -> tuple[Lock, datetime]:
        """A lock, and when its newest event was recorded."""
        lock = await self._locks.find(lock_id, operator.scope)
        newest = await self._events.newest_of_lock(lock.id, lock.org_id)
        return lock, lock.created_at if newest is None else newest.recorded_at

    async def events_of(self, operator: Operator, lock_id: int, page: int | None) -> EventPage:
        """A page of a lock's events; the last one where none is named."""
        lock = await self._locks.find(lock_id, operator.scope)
        total = await self._events.count_of_lock(lock.id, lock.org_id)
        page = page or pages_of(total)
        events: list[RecordedEvent] = []
        if page <= pages_of(total):
            skip = (page - 1) * EVENTS_ON_A_PAGE
            events = await self._events.list_of_lock(lock.id, lock.org_id, skip, EVENTS_ON_A_PAGE)
        return EventPage(events=events, total=total, page=page)

    async def events_in_order(
        self, operator: Operator, after: int, limit: int, kind: str | None, lock_id: int | None
    ) -> list[RecordedEvent]:
        """The caller's events in the one order that never changes, from the one after ``after``.

        An organisation's are those of its locks while they were its own.
        """
        locks = await self._locks_asked_for(operator, lock_id)
        return await self._events.list_in_order(
            after, limit, org_id=operator.org_id, locks=locks, kind=kind
        )

    async def newest_events(
        self,
        operator: Operator,
        before: int | None,
        limit: int,
        kind: str | None,
        lock_id: int | None,
    ) -> list[RecordedEvent]:
        """The same the other way round: from the one before ``before`` back, or from the last."""
        locks = await self._locks_asked_for(operator, lock_id)
        return await self._events.list_newest(
            before, limit, org_id=operator.org_id, locks=locks, kind=kind
        )

    async def _locks_asked_for(self, operator: Operator, lock_id: int | None) -> list[Lock] | None:
        """The locks whose events are asked for; None where the organisation says enough."""
        if lock_id is not None:
            return [await self._locks.find(lock_id, operator.scope)]
        return None if operator.user_id is None else await self._locks.list_of(operator.scope)

    async def readings_of(
        self,
        operator: Operator,
        lock_id: int,
        limit: int,
        since: datetime | None,
        until: datetime | None,
    ) -> list[StoredReport]:
        """A lock's readings that came in from ``since`` and before ``until``, newest first."""
        lock = await self._locks.find(lock_id, operator.scope)
        return await self._reports.list_readings(lock.id, lock.org_id, limit, since, until)

    async def messages_of(self, operator: Operator, lock_id: int, limit: int) -> Messages:
        """The newest that went to a lock and came from it."""
        lock = await self._locks.find(lock_id, operator.scope)
        return Messages(
            commands=await self._commands.list_of_lock(lock.id, lock.org_id, limit),
            reports=await self._reports.list_of_lock(lock.id, lock.org_id, limit),
        )


def pages_of(total: int) -> int:
    """How many pages so many events take; one at least."""
    return max(1, -(-total // EVENTS_ON_A_PAGE))
