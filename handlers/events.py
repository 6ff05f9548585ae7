"""The events of all locks in one order, for those who replay them."""

from typing import Annotated

from msgspec import Meta, Struct

from handlers.base import BaseHandler
from handlers.lock_queries import LockEventAnswer, event_fields
from handlers.operation import Access, Answer, operation
from handlers.paging import USUAL_PAGE, Limit, link_next
from server.domain.events import RecordedEvent
from server.domain.temp_keys import LockIdNumber

EventCursor = Annotated[str, Meta(pattern=r"^[0-9]{1,15}$(?!\n)")]
"""After which event to go on."""


class EventAnswer(LockEventAnswer, frozen=True, kw_only=True):
    """One event; ``id`` is the same wherever this event is told."""

    id: str


class EventList(Struct, frozen=True, kw_only=True):
    """Events in order; the next request goes on ``after`` this one, now or at any later time."""

    events: list[EventAnswer]
    after: str


class EventQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which events: those after a cursor, of one type, of one lock."""

    after: EventCursor = "0"
    limit: Limit = USUAL_PAGE
    type: Annotated[str, Meta(max_length=64)] | None = None
    lock_id: LockIdNumber | None = None


class Events(BaseHandler):
    """The events of the caller's locks."""

    @operation(Access.OPERATOR, {200: Answer(EventList)}, errors=(404,), query=EventQuery)
    async def get(self, query: EventQuery) -> None:
        """The events of the caller's locks, in an order that never changes."""
        events = await self.services.lock_queries.events_in_order(
            self.operator, int(query.after), query.limit, query.type, query.lock_id
        )
        after = str(events[-1].position) if events else query.after
        if len(events) == query.limit:
            link_next(self, after)
        answers = [event_answer(event) for event in events]
        self.write_json(EventList(events=answers, after=after))


def event_answer(event: RecordedEvent) -> EventAnswer:
    """An event as its organisation sees it."""
    return EventAnswer(id=event.id, **event_fields(event))
