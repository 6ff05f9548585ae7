"""The answer to every command on a lock (HTTP contract, Part 1 section 0, "Command reply")."""

from typing import Any

from msgspec import Struct

from server.domain.events import Done, RecordedEvent


class EventAnswer(Struct, frozen=True, kw_only=True):
    """What a command made happen; ``data`` holds the fields of that type of event."""

    type: str
    data: dict[str, Any]


class CommandReply(Struct, frozen=True, kw_only=True, rename="camel"):
    """``aggregate_id`` is the lock's id as text, ``version`` that of its newest event.

    ``event`` is null where nothing had to be done.
    """

    success: bool = True
    aggregate_id: str
    version: int
    event: EventAnswer | None


def event_answer(event: RecordedEvent | None) -> EventAnswer | None:
    """An event as command replies show it."""
    return None if event is None else EventAnswer(type=event.type, data=event.data)


def command_reply(lock_id: int, done: Done) -> CommandReply:
    """The reply to a command that was done."""
    return CommandReply(
        aggregate_id=str(lock_id), version=done.version, event=event_answer(done.event)
    )
