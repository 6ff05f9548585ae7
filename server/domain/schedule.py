"""Weekly schedules: during which hours of which weekdays a temp key opens its door.

A window is written in the wall time of the door's zone, and means a set of instants:
for every local date on one of its ``days``, the interval

    [ resolve(that date, from),  resolve(the date on which it ends, until) )

where ``resolve`` turns a wall time into an instant as ``zoneinfo`` does with ``fold=0``.
It ends on the date it begins, or on the next where ``until`` is not later than ``from``
(or is ``24:00``). Its weekday is that of the date it is written for, so the small hours
of "fri 22:00-06:00" belong to Friday. What follows for the days on which clocks change:

- A wall time that a gap leaves out is counted on from before the gap: in a gap from 02:00
  to 03:00, 02:30 is the instant at which clocks show 03:30. So 01:00-02:30 still lasts an
  hour and a half, 02:00-02:30 is the half hour from 03:00, 02:30-04:00 is the half hour
  from 03:30, and 02:30-03:00 does not take place: it would end before it begins.
- A wall time that a fold repeats is its first occurrence. Where clocks go back from 03:00
  to 02:00, 01:00-02:30 ends the first time clocks show 02:30, 02:00-03:00 lasts two hours,
  and 02:15-02:45 takes place once, not twice.
- A date that the zone skips (Apia's 30 December 2011) is one long gap: its windows take
  place a day later, at their own hours.
- Where one window ends as another begins, nothing is lost between them on any day.

The instants that these functions take are aware, and those they return are too.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct, field

from server.domain.errors import InvalidInput

END_OF_DAY = "24:00"

_ONE_DAY = timedelta(days=1)
_DAYS_BEFORE = 3
_DAYS_AFTER = 2
"""How far from an instant's own date the date of a window can be that touches it.

No zone is a whole day away from UTC, nor is the offset that an instant is written with.
So a window begins two dates before its own at the earliest, and ends three after it at
the latest.
"""

_FIRST_DAY = date.min.toordinal() + 1
_LAST_DAY = date.max.toordinal() - 2
"""Between these, every window of every zone is within what ``datetime`` can say."""


class Weekday(StrEnum):
    """A day of the week, in the order of ``date.weekday``."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_WEEKDAYS = tuple(Weekday)

# The length keeps out a line break at the end, which Python's ``$`` lets pass.
BeginTime = Annotated[
    str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", min_length=5, max_length=5)
]
EndTime = Annotated[
    str, Meta(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$", min_length=5, max_length=5)
]


class ScheduleWindow(Struct, frozen=True, kw_only=True):
    """Hours of some weekdays, in the door's zone; ``begin`` is called ``from`` on the wire.

    Half open: good at ``begin``, no longer at ``until``. An ``until`` that is not later
    than ``begin`` is on the next day; where both are the same, the window is a day long.
    """

    days: Annotated[list[Weekday], Meta(min_length=1, max_length=7)]
    begin: BeginTime = field(name="from")
    until: EndTime


Schedule = Annotated[list[ScheduleWindow], Meta(max_length=50)]
"""A schedule as an operator asks for it; without windows, it is no restriction."""


def check_days(schedule: Sequence[ScheduleWindow], path: str = "schedule") -> None:
    """Refuse a schedule with a window that names a day twice.

    Raises:
        InvalidInput: at the day that was named before; ``path`` is where the schedule is.
    """
    for number, window in enumerate(schedule):
        for position, day in enumerate(window.days):
            if day in window.days[:position]:
                raise InvalidInput(f"{path}[{number}].days[{position}]", f"{day} is named twice")


def is_open(schedule: Sequence[ScheduleWindow], zone: ZoneInfo, instant: datetime) -> bool:
    """Whether ``instant`` is within a window. An empty schedule is always open."""
    if not schedule:
        return True
    today = instant.toordinal()
    return any(
        begin <= instant < end
        for day in _days(today - _DAYS_BEFORE, today + _DAYS_AFTER)
        for begin, end in _intervals(schedule, zone, day)
    )


def next_opening(
    schedule: Sequence[ScheduleWindow], zone: ZoneInfo, after: datetime, before: datetime
) -> datetime | None:
    """The earliest instant from ``after`` on (itself included) that is within a window.

    Returns:
        None where there is none before ``before``.
    """
    if after >= before:
        return None
    if not schedule:
        return after
    earliest = before
    for day in _days(after.toordinal() - _DAYS_BEFORE, before.toordinal() + _DAYS_AFTER):
        # Clock changes may put the windows of two days out of order, so the first that
        # is found need not be the earliest.
        if day.toordinal() > earliest.toordinal() + _DAYS_AFTER:
            break
        for begin, end in _intervals(schedule, zone, day):
            if end > after:
                earliest = min(earliest, max(begin, after))
    return earliest if earliest < before else None


def _days(first: int, last: int) -> Iterator[date]:
    for ordinal in range(max(first, _FIRST_DAY), min(last, _LAST_DAY) + 1):
        yield date.fromordinal(ordinal)


def _intervals(
    schedule: Sequence[ScheduleWindow], zone: ZoneInfo, day: date
) -> Iterator[tuple[datetime, datetime]]:
    """When the windows that begin on the local date ``day`` begin and end.

    Without those that a gap leaves nothing of.
    """
    weekday = _WEEKDAYS[day.weekday()]
    for window in schedule:
        if weekday not in window.days:
            continue
        begin = _resolve(day, window.begin, zone)
        if window.until == END_OF_DAY:
            end = _resolve(day + _ONE_DAY, "00:00", zone)
        elif window.until <= window.begin:
            end = _resolve(day + _ONE_DAY, window.until, zone)
        else:
            end = _resolve(day, window.until, zone)
        if begin < end:
            yield begin, end


def _resolve(day: date, wall_time: str, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.fromisoformat(wall_time), zone).astimezone(UTC)
