"""The events of all locks: the newest first, live, and as files."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import msgspec
import tornado.iostream
from msgspec import Meta, Struct

from handlers.csv_table import csv_line
from handlers.dashboard.base import DashboardHandler
from handlers.events import EventCursor, event_answer
from handlers.operation import PAGE, Access, Answer, Media, operation
from handlers.views.event_view import EVENT_TYPES, event_view, event_words
from handlers.views.urls import EVENTS_URL, with_query
from server import clock
from server.domain.events import RecordedEvent
from server.domain.temp_keys import LockIdNumber

_EVENTS_ON_A_PAGE = 100
_WRITTEN_AT_ONCE = 500
_COLUMNS = ("position", "timestamp", "lockId", "version", "type", "words", "id", "event")


class EventsQuery(Struct, frozen=True, kw_only=True):
    """Which events: of one type, of one lock, and before which one."""

    type: Annotated[str, Meta(max_length=64)] | None = None
    lock: LockIdNumber | None = None
    before: EventCursor | None = None


class EventsPage(DashboardHandler):
    """The newest events."""

    here = "events"

    @operation(Access.DASHBOARD, {200: PAGE}, errors=(404,), query=EventsQuery)
    async def get(self, query: EventsQuery) -> None:
        before = None if query.before is None else int(query.before)
        events = await self.services.lock_queries.newest_events(
            self.operator, before, _EVENTS_ON_A_PAGE, query.type, query.lock
        )
        lock_ids = {event.lock_id for event in events} | {query.lock or 0}
        locks = await self.services.locks.find_all(self.operator, lock_ids)
        now = clock.now()
        asked = {"type": query.type, "lock": query.lock}
        older = None
        if len(events) == _EVENTS_ON_A_PAGE:
            older = with_query(EVENTS_URL, **asked, before=events[-1].position)
        self.render(
            "dashboard/events.html",
            events=[event_view(event, locks.get(event.lock_id), now) for event in events],
            types=EVENT_TYPES,
            query=query,
            lock=locks.get(query.lock or 0),
            older=older,
            files=[
                (name, with_query(f"{EVENTS_URL}.{name.lower()}", **asked))
                for name in ("CSV", "JSONL")
            ],
        )


class EventFile(DashboardHandler):
    """All events that are asked for, oldest first, written as they are read."""

    async def write_events(
        self, query: EventsQuery, media: str, head: str, line: Callable[[RecordedEvent], str]
    ) -> None:
        """Answer with a line for each event; no more than 500 are in memory at once."""
        name = media.partition("/")[2].partition(";")[0]
        self.set_header("Content-Type", media)
        self.set_header("Content-Disposition", f'attachment; filename="events.{name}"')
        self.write(head)
        try:
            async for events in self._batches(query):
                self.write("".join(line(event) for event in events))
                await self.flush()
        except tornado.iostream.StreamClosedError:
            return  # nobody wants the rest

    async def _batches(self, query: EventsQuery) -> AsyncIterator[list[RecordedEvent]]:
        after = 0
        while events := await self.services.lock_queries.events_in_order(
            self.operator, after, _WRITTEN_AT_ONCE, query.type, query.lock
        ):
            yield events
            after = events[-1].position


class EventsAsCsv(EventFile):
    """Events as a table for spreadsheets."""

    @operation(Access.DASHBOARD, {200: Answer(None, Media.CSV)}, errors=(404,), query=EventsQuery)
    async def get(self, query: EventsQuery) -> None:
        await self.write_events(query, "text/csv; charset=utf-8", csv_line(_COLUMNS), _csv)


class EventsAsJsonl(EventFile):
    """Events as the API shows them, one on each line."""

    @operation(Access.DASHBOARD, {200: Answer(None, Media.JSON)}, errors=(404,), query=EventsQuery)
    async def get(self, query: EventsQuery) -> None:
        await self.write_events(query, "application/jsonl; charset=utf-8", "", _json)


def _csv(event: RecordedEvent) -> str:
    fields: list[Any] = [
        event.position,
        event.data["timestamp"],
        event.lock_id,
        event.version,
        event.type,
        event_words(event),
        event.id,
        msgspec.json.encode(event.data).decode(),
    ]
    return csv_line(fields)


def _json(event: RecordedEvent) -> str:
    return msgspec.json.encode(event_answer(event)).decode() + "\n"
