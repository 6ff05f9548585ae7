"""Instants as the wire carries them: RFC 3339, UTC, milliseconds."""

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

WireTime = Annotated[
    str, Meta(extra_json_schema={"format": "date-time"}, description="RFC 3339, UTC, milliseconds")
]
"""A time in an answer or a frame, as ``wire_time`` writes it."""

AwareTime = Annotated[datetime, Meta(tz=True)]
"""A time in a request: any RFC 3339 text that names its offset."""


def wire_time(instant: datetime) -> str:
    """Write an aware instant as ``2026-11-23T08:00:00.000Z``."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_wire_time(text: str) -> datetime:
    """Read what ``wire_time`` wrote (or any RFC 3339 text with an offset).

    Raises:
        ValueError: the text is not a time, or names no offset.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} names no offset")
    return in_utc(instant)


def in_utc(instant: datetime) -> datetime:
    """An aware instant in UTC.

    Raises:
        ValueError: its offset carries it out of the years 1 to 9999, which nothing can store.
    """
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is not within the years 1 to 9999 in UTC") from error
