"""Instants as people read them: in their language, and in the time zone of the door."""

from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.dates import format_datetime, format_time, format_timedelta
from msgspec import Struct

from handlers.languages import Language
from handlers.views.words import N_
from server.domain.locks import Lock
from server.domain.times import wire_time


class Moment(Struct, frozen=True, kw_only=True):
    """An instant for people (``text``, in the door's zone; ``relative``) and machines (``iso``)."""

    text: str
    relative: str
    iso: str


# Babel has patterns for a date with its year, but no long one without.
_DAY = {
    "en": "EEEE d MMMM",
    "de": "EEEE, d. MMMM",
    "el": "EEEE d MMMM",
    "es": "EEEE d 'de' MMMM",
    "fr": "EEEE d MMMM",
    "it": "EEEE d MMMM",
    "ar": "EEEE، d MMMM",
}
_YEAR = {"es": "{day} 'de' y"}
_DATE_TIME = N_("{date}, {time} {zone}")

_NOW = N_("less than a minute ago")
_SOON = N_("in less than a minute")
_MINUTE = timedelta(minutes=1)
_ANY_NUMBER = float("inf")


def zone_of(lock: Lock | None) -> ZoneInfo:
    """The zone of the lock's door; UTC where it is unknown or no zone at all."""
    try:
        return ZoneInfo(lock.time_zone if lock is not None else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def moment_of(
    instant: datetime, zone: ZoneInfo, now: datetime, language: Language, *, seconds: bool = False
) -> Moment:
    local = instant.astimezone(zone)
    day = _DAY[language.code]
    if local.year != now.astimezone(zone).year:
        day = _YEAR.get(language.code, "{day} y").format(day=day)
    text = language.say(
        _DATE_TIME,
        date=format_datetime(local, day, locale=language.formats),
        time=time_of_day(local, language, seconds=seconds),
        zone=_zone_name(local),
    )
    return Moment(text=text, relative=_relative(instant, now, language), iso=wire_time(instant))


def time_of_day(local: datetime, language: Language, *, seconds: bool) -> str:
    """The time of a day, as its own zone has it."""
    return format_time(local, "medium" if seconds else "short", locale=language.formats)


def _zone_name(local: datetime) -> str:
    """``CET``, or ``UTC+05:30`` where the zone database has no letters for it."""
    name = local.tzname() or "UTC"
    if name[0] not in "+-":
        return name
    hours, minutes = name[:3], name[3:]
    return f"UTC{hours}:{minutes}" if minutes else f"UTC{hours}"


def _relative(instant: datetime, now: datetime, language: Language) -> str:
    """How far away ``instant`` is: rounded down when it is past, up when it is to come."""
    if abs(now - instant) < _MINUTE:
        return language.say(_NOW if now >= instant else _SOON)
    is_past = now > instant
    minutes = (now - instant) // _MINUTE if is_past else -((now - instant) // _MINUTE)
    if minutes < 120:
        return _in_units(minutes, "minute", is_past, language)
    hours = minutes // 60 if is_past else (minutes + 59) // 60
    if hours < 48:
        return _in_units(hours, "hour", is_past, language)
    return _in_units(hours // 24 if is_past else (hours + 23) // 24, "day", is_past, language)


def _in_units(
    n: int, unit: Literal["minute", "hour", "day"], is_past: bool, language: Language
) -> str:
    return format_timedelta(
        timedelta(**{f"{unit}s": -n if is_past else n}),
        granularity=unit,
        threshold=_ANY_NUMBER,  # never in a larger unit
        add_direction=True,
        locale=language.formats,
    )
