"""Instants as people read them, in the time zone of the door."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from server.domain.locks import Lock
from server.domain.times import wire_time


class Moment(Struct, frozen=True, kw_only=True):
    """An instant for people (``text``, in the door's zone; ``relative``) and machines (``iso``)."""

    text: str
    relative: str
    iso: str


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DATE_TIME = "{weekday} {day} {month}, {time} {zone}"
_DATE_YEAR_TIME = "{weekday} {day} {month} {year}, {time} {zone}"

_NOW = "less than a minute ago"
_SOON = "in less than a minute"
_AGO = {
    "minute": ("{n} minute ago", "{n} minutes ago"),
    "hour": ("{n} hour ago", "{n} hours ago"),
    "day": ("{n} day ago", "{n} days ago"),
}
_AHEAD = {
    "minute": ("in {n} minute", "in {n} minutes"),
    "hour": ("in {n} hour", "in {n} hours"),
    "day": ("in {n} day", "in {n} days"),
}


def zone_of(lock: Lock | None) -> ZoneInfo:
    """The zone of the lock's door; UTC where it is unknown or no zone at all."""
    try:
        return ZoneInfo(lock.time_zone if lock is not None else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def moment_of(instant: datetime, zone: ZoneInfo, now: datetime, *, seconds: bool = False) -> Moment:
    local = instant.astimezone(zone)
    sentence = _DATE_TIME if local.year == now.astimezone(zone).year else _DATE_YEAR_TIME
    text = sentence.format(
        weekday=_WEEKDAYS[local.weekday()],
        day=local.day,
        month=_MONTHS[local.month - 1],
        year=local.year,
        time=local.strftime("%H:%M:%S" if seconds else "%H:%M"),
        zone=_zone_name(local),
    )
    return Moment(text=text, relative=_relative(instant, now), iso=wire_time(instant))


def _zone_name(local: datetime) -> str:
    """``CET``, or ``UTC+05:30`` where the zone database has no letters for it."""
    name = local.tzname() or "UTC"
    if name[0] not in "+-":
        return name
    hours, minutes = name[:3], name[3:]
    return f"UTC{hours}:{minutes}" if minutes else f"UTC{hours}"


def _relative(instant: datetime, now: datetime) -> str:
    """How far away ``instant`` is: rounded down when it is past, up when it is to come."""
    if now >= instant:
        minutes, rounding, words, nearest = (now - instant) // _MINUTE, 0, _AGO, _NOW
        if minutes < 1:
            return nearest
    else:
        minutes, rounding, words = -((now - instant) // _MINUTE), 1, _AHEAD
        if instant - now < _MINUTE:
            return _SOON
    if minutes < 120:
        return counted(words["minute"], minutes)
    hours = (minutes + rounding * 59) // 60
    if hours < 48:
        return counted(words["hour"], hours)
    return counted(words["day"], (hours + rounding * 23) // 24)


_MINUTE = timedelta(minutes=1)


def counted(sentences: tuple[str, str], n: int) -> str:
    return sentences[0 if n == 1 else 1].format(n=n)
