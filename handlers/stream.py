"""The fleet live: what happens to the caller's locks, as server-sent events."""

import msgspec
from msgspec import Struct

from handlers.events import EventCursor, event_answer
from handlers.locks import lock_answer
from handlers.operation import EVENTS, Access, operation
from handlers.sse import FleetStreamHandler, message
from server.domain.errors import InvalidInput
from server.domain.events import RecordedEvent
from server.domain.locks import Lock

_LAST_EVENT_ID = "Last-Event-ID"


class ReadyAnswer(Struct, frozen=True, kw_only=True):
    """From now on every change is told, and events from the one after ``after``.

    ``complete`` is false where more events were missed than are told again: read them with
    ``GET /events``.
    """

    after: str
    complete: bool


class StreamQuery(Struct, frozen=True, kw_only=True):
    """After which event to begin; the header of the same meaning counts first."""

    after: EventCursor | None = None


class JsonEncoding:
    """Each thing as the API shows it elsewhere; only events have an id to go on after."""

    def ready(self, position: int, complete: bool) -> bytes:
        answer = ReadyAnswer(after=str(position), complete=complete)
        return message("ready", msgspec.json.encode(answer), position)

    def lock(self, lock: Lock) -> bytes:
        return message("lock", msgspec.json.encode(lock_answer(lock)))

    def event(self, event: RecordedEvent, lock: Lock | None) -> bytes:
        return message("event", msgspec.json.encode(event_answer(event)), event.position)


_JSON = JsonEncoding()


class FleetStream(FleetStreamHandler):
    """What happens to the caller's locks."""

    @operation(
        Access.OPERATOR,
        {200: EVENTS},
        query=StreamQuery,
        headers={_LAST_EVENT_ID: "After which event to go on: the ``id`` of the last one heard."},
    )
    async def get(self, query: StreamQuery) -> None:
        """What happens to the caller's locks, as it happens: presence, readings and events."""
        last = self.request.headers.get(_LAST_EVENT_ID) or query.after
        await self.stream(_JSON, event_cursor(last), self.ask_credential)


def event_cursor(text: str | None) -> int | None:
    """Where a stream goes on.

    Raises:
        InvalidInput: that is nobody's id.
    """
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return int(text)
    raise InvalidInput(_LAST_EVENT_ID, "must be the id of an event of this stream")
