"""The wall clock, read in one place."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant: aware, UTC, cut to the millisecond."""
    return to_millisecond(datetime.now(UTC))


def to_millisecond(instant: datetime) -> datetime:
    """An aware instant in UTC, cut to the millisecond that MongoDB and the wire carry."""
    instant = instant.astimezone(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
