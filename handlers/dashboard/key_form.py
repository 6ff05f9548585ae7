"""The form that issues a key: what was typed, and what is wrong with it, beside each field."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from handlers.views.moments import zone_of
from server.domain.errors import InvalidInput
from server.domain.locks import Lock
from server.domain.temp_keys import NewTempKey

DOOR_ROWS, SCHEDULE_ROWS = 4, 3
_USUAL_STAY = timedelta(days=2)
_TIME = "%Y-%m-%dT%H:%M"
_SAID = re.compile(r"(.+) #([0-9]{1,15})\Z")
_FIELDS: Mapping[str, str] = {
    "validFrom": "valid_from",
    "validUntil": "valid_until",
    "maxUses": "max_uses",
    "description": "description",
}


class DoorRow(Struct, frozen=True, kw_only=True):
    """A door as it was typed."""

    lock: str = ""
    label: str = ""
    method: str = "key"


class WindowRow(Struct, frozen=True, kw_only=True):
    """A window of the schedule as it was typed."""

    days: list[str] = []
    begin: str = ""
    until: str = ""


class KeyForm(Struct, frozen=True, kw_only=True):
    """All that was typed, so that nothing is lost where something is wrong."""

    description: str = ""
    valid_from: str = ""
    valid_until: str = ""
    max_uses: str = ""
    doors: list[DoorRow]
    schedule: list[WindowRow]


def blank_form(lock: Lock | None, now: datetime) -> KeyForm:
    """An empty form, for a lock where one is named: from now on, for two days."""
    begin = now.astimezone(zone_of(lock))
    return KeyForm(
        valid_from=begin.strftime(_TIME),
        valid_until=(begin + _USUAL_STAY).strftime(_TIME),
        doors=_filled([] if lock is None else [DoorRow(lock=lock_words(lock))], DoorRow()),
        schedule=_filled_windows([]),
    )


def lock_words(lock: Lock) -> str:
    """A lock as the form names it."""
    return f"{lock.name} #{lock.id}"


def read_form(fields: Mapping[str, list[str]]) -> KeyForm:
    """What was typed."""

    def text(name: str) -> str:
        return fields.get(name, [""])[-1].strip()

    doors = [
        DoorRow(
            lock=text(f"door{n}_lock"),
            label=text(f"door{n}_label"),
            method=text(f"door{n}_method") or "key",
        )
        for n in range(DOOR_ROWS)
    ]
    windows = [
        WindowRow(
            days=fields.get(f"window{n}_days", []),
            begin=text(f"window{n}_begin"),
            until=text(f"window{n}_until"),
        )
        for n in range(SCHEDULE_ROWS)
    ]
    return KeyForm(
        description=text("description"),
        valid_from=text("valid_from"),
        valid_until=text("valid_until"),
        max_uses=text("max_uses"),
        doors=_filled([door for door in doors if door.lock], DoorRow()),
        schedule=_filled_windows([one for one in windows if one.days or one.begin or one.until]),
    )


def said_locks(form: KeyForm) -> dict[str, str]:
    """What each door was called, and what to look up for it: a number, or a name."""
    return {
        door.lock: f"#{found[2]}" if (found := _SAID.match(door.lock)) else door.lock
        for door in form.doors
        if door.lock
    }


def wanted_key(form: KeyForm, locks: Mapping[str, Lock]) -> NewTempKey:
    """The key that the form asks for; ``locks`` by what they were called in it.

    Raises:
        FormProblems: it cannot be understood; what is wrong, by field.
    """
    problems: dict[str, str] = {}
    doors: list[dict[str, Any]] = []
    for number, door in enumerate(form.doors):
        if not door.lock:
            continue
        if door.lock not in locks:
            problems[f"door{number}_lock"] = f"There is no one lock that is called “{door.lock}”"
            continue
        doors.append(
            {
                "lockId": locks[door.lock].id,
                "label": door.label or None,
                "accessMethod": door.method,
            }
        )
    if not doors and not problems:
        problems["door0_lock"] = "Name the lock of at least one door"
    zone = zone_of(next(iter(locks.values()), None))
    window = {
        name: _instant(text, zone)
        for name, text in (("valid_from", form.valid_from), ("valid_until", form.valid_until))
    }
    problems |= {
        name: "Choose a date and a time" for name, instant in window.items() if instant is None
    }
    if form.max_uses and not (form.max_uses.isascii() and form.max_uses.isdecimal()):
        problems["max_uses"] = "Must be a whole number; leave it empty for as often as wanted"
    schedule = [
        {"days": one.days, "from": one.begin, "until": one.until}
        for one in form.schedule
        if one.days or one.begin or one.until
    ]
    for number, row in enumerate(schedule):
        if not (row["days"] and row["from"] and row["until"]):
            problems[f"window{number}"] = "Choose days, and from when until when"
    if problems:
        raise FormProblems(problems)
    try:
        return msgspec.convert(
            {
                "validFrom": window["valid_from"],
                "validUntil": window["valid_until"],
                "doors": doors,
                "description": form.description or None,
                "maxUses": int(form.max_uses) if form.max_uses else None,
                "schedule": schedule,
            },
            NewTempKey,
        )
    except msgspec.ValidationError as error:
        said, _, path = str(error).partition(" - at `$")
        raise FormProblems({_form_field(path.rstrip("`").lstrip(".")): said}) from error


class FormProblems(Exception):
    """What is wrong with a form, by field; ``""`` where it is about the whole."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("the form cannot be used as it is")
        self.problems = problems


def problems_of(error: InvalidInput) -> dict[str, str]:
    """What a service has against a key, beside the field of the form that it is about."""
    said = str(error).removeprefix(f"{error.field}: ")
    return {_form_field(error.field): said[:1].upper() + said[1:]}


def _form_field(path: str) -> str:
    found = re.match(r"(doors|schedule)\[(\d+)\]", path)
    if found is None:
        return _FIELDS.get(path, "")
    return f"door{found[2]}_lock" if found[1] == "doors" else f"window{found[2]}"


def _instant(text: str, zone: ZoneInfo) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        return None


def _filled(rows: list[DoorRow], blank: DoorRow) -> list[DoorRow]:
    return [*rows, *[blank] * (DOOR_ROWS - len(rows))]


def _filled_windows(rows: list[WindowRow]) -> list[WindowRow]:
    return [*rows, *[WindowRow()] * (SCHEDULE_ROWS - len(rows))]
