"""What the guest pages show, worked out from domain objects: no I/O, no Tornado, no clock.

A view is a frozen struct that a template prints as it is. Everything that depends on a
state is decided here, and so is every sentence about it: whole sentences in tables, with
named placeholders, so that they can be translated one by one. What a page says whatever
happens (its labels and links) is in its template.

Times are shown in the time zone of the door, which is named beside them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from server.domain.commands import (
    SHOWN_AS_FINAL,
    USE_GIVEN_BACK,
    CommandState,
    OpenCommand,
    RefusalReason,
    new_attempt,
)
from server.domain.locks import Lock
from server.domain.protocol import BoltState, DoorState
from server.domain.temp_keys import AccessMethod, Door, KeyStatus, TempKey, status_of
from server.domain.times import wire_time

REFERENCE_LENGTH = 8
PUSH_SLACK = timedelta(seconds=10)
"""How long after the latch fell shut a page may still say "push it now"."""
OVERDUE = timedelta(seconds=10)
"""How long after its answer was due a command without an outcome is shown as unconfirmed,
even where nobody has written that down yet. No page waits for ever."""


# Where things are


def key_url(key_uuid: str) -> str:
    """The guest page of a key."""
    return f"/temp-keys/{quote(key_uuid, safe='')}"


def open_url(key_uuid: str, door_id: int) -> str:
    """Where the form of a door posts to."""
    return f"{key_url(key_uuid)}/doors/{door_id}/open"


def confirmation_url(
    key_uuid: str, door_id: int, command_id: str | None = None, offline: bool = False
) -> str:
    """The page that follows one open command."""
    return f"{key_url(key_uuid)}/confirmation?{_about(door_id, command_id, offline)}"


def stream_url(key_uuid: str, door_id: int, command_id: str, offline: bool = False) -> str:
    """The server-sent events of the confirmation page."""
    return f"{key_url(key_uuid)}/confirmation/stream?{_about(door_id, command_id, offline)}"


def _about(door_id: int, command_id: str | None, offline: bool) -> str:
    query = {"door": str(door_id), "offline": "true" if offline else "false"}
    if command_id is not None:
        query["command"] = command_id
    return urlencode(query)


# Times


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


def _zone(lock: Lock | None) -> ZoneInfo:
    """The zone of the lock's door; UTC where it is unknown or no zone at all."""
    try:
        return ZoneInfo(lock.time_zone if lock is not None else "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _moment(instant: datetime, zone: ZoneInfo, now: datetime, *, seconds: bool = False) -> Moment:
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
        return _count(words["minute"], minutes)
    hours = (minutes + rounding * 59) // 60
    if hours < 48:
        return _count(words["hour"], hours)
    return _count(words["day"], (hours + rounding * 23) // 24)


_MINUTE = timedelta(minutes=1)


def _count(sentences: tuple[str, str], n: int) -> str:
    return sentences[0 if n == 1 else 1].format(n=n)


# A lock, as a guest may see it


class LockView(Struct, frozen=True, kw_only=True):
    """The state of a lock. Readings are the lock's own last words, at ``reported``."""

    name: str
    online: bool
    connection: str
    offline_since: Moment | None
    battery: str | None
    battery_low: bool
    jammed: bool
    bolt: str | None
    door: str | None
    reported: Moment | None
    time_zone: str


_ONLINE = "Online"
_OFFLINE_SINCE = "Offline since {time} ({relative})"
_NEVER_ONLINE = "Offline: it has not connected yet"
_BATTERY = "{percent} %"
_BATTERY_LOW = "Low: {percent} %"
_BOLT = {
    BoltState.LOCKED: "Locked",
    BoltState.UNLOCKED: "Unlocked",
    BoltState.JAMMED: "Jammed",
}
_DOOR = {DoorState.OPEN: "Open", DoorState.CLOSED: "Closed"}


def lock_view(lock: Lock, now: datetime) -> LockView:
    """What the pages show of a lock's connection and its newest readings."""
    zone = _zone(lock)
    connection, reading = lock.connection, lock.telemetry
    since = None
    if connection.online:
        words = _ONLINE
    elif connection.since is None:
        words = _NEVER_ONLINE
    else:
        since = _moment(connection.since, zone, now)
        words = _OFFLINE_SINCE.format(time=since.text, relative=since.relative)
    battery = None
    if reading is not None and reading.battery is not None:
        sentence = _BATTERY_LOW if reading.battery_is_low else _BATTERY
        battery = sentence.format(percent=round(reading.battery))
    bolt = reading.bolt if reading is not None else None
    door = reading.door if reading is not None else None
    return LockView(
        name=lock.name,
        online=connection.online,
        connection=words,
        offline_since=since,
        battery=battery,
        battery_low=reading is not None and reading.battery_is_low,
        jammed=bolt is BoltState.JAMMED,
        bolt=_BOLT[bolt] if bolt is not None else None,
        door=_DOOR[door] if door is not None else None,
        reported=_moment(reading.received_at, zone, now) if reading is not None else None,
        time_zone=zone.key,
    )


# The key's page


class Notice(Struct, frozen=True, kw_only=True):
    """Something a guest should know before the tap; ``kind`` picks the icon."""

    kind: str
    title: str
    text: str


class Validity(Struct, frozen=True, kw_only=True):
    """When a key is good, in the zone ``time_zone``."""

    valid_from: Moment
    valid_until: Moment
    time_zone: str


class DoorView(Struct, frozen=True, kw_only=True):
    """One door of a key. ``attempt`` marks the tap, so that a repeat is no second opening."""

    id: int
    name: str
    lock: LockView | None
    opens_by_tap: bool
    opens_by_pin: bool
    may_open: bool
    open_url: str
    attempt: str
    notices: list[Notice]
    validity: Validity | None
    """Only where this door's time zone is not the first door's."""


class KeyView(Struct, frozen=True, kw_only=True):
    """The guest page of a key. ``message`` and ``next_step`` say why not, where it is not valid."""

    status: KeyStatus
    heading: str
    message: str
    next_step: str | None
    may_open: bool
    doors: list[DoorView]
    validity: Validity
    uses_left: int | None
    uses: str | None
    key_url: str


class _Words(Struct, frozen=True):
    heading: str
    message: str
    next_step: str | None = None


_KEY_WORDS = {
    KeyStatus.NOT_YET_VALID: _Words(
        "Your key is not valid yet",
        "It works from {valid_from} ({until_then}).",
        "Keep this link. Come back to this page then, and the Open button will be here.",
    ),
    KeyStatus.EXPIRED: _Words(
        "Your key has expired",
        "It was valid until {valid_until}.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    KeyStatus.USED_UP: _Words(
        "Your key is used up",
        "It has opened as often as it may.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    KeyStatus.REVOKED: _Words(
        "Your key was revoked",
        "It was taken back on {revoked_at} and opens nothing any more.",
        "If you did not expect this, ask whoever sent you this link.",
    ),
}
_KEY_TO_ONE = "Your key to {door}"
_KEY_TO_MANY = ("Your key to {n} door", "Your key to {n} doors")
_TAP = "When you stand at the door, tap the button."
_PIN_ONLY = "Enter your PIN at the panel beside the door."
_NOTHING_OPENS = "None of its doors can be opened from this page at the moment."
_USES_LEFT = ("You can use it {n} more time.", "You can use it {n} more times.")
_DOOR_WITHOUT_NAME = "Door {n}"

_IS_OFFLINE = Notice(
    kind="offline",
    title="This lock is offline",
    text="It went offline {relative}, on {time}. You may try: the door opens if the lock comes "
    "back within seconds, and never later.",
)
_NEVER_WAS_ONLINE = Notice(
    kind="offline",
    title="This lock is offline",
    text="It has not connected yet. You may try: the door opens if the lock connects within "
    "seconds, and never later.",
)
_IS_JAMMED = Notice(
    kind="jammed",
    title="The bolt was jammed",
    text="So the lock reported {relative}. Push or pull the door a little while it opens.",
)
_HAS_LOW_BATTERY = Notice(
    kind="battery",
    title="The battery is low",
    text="It has {percent} % left. The lock may need a second try.",
)
_NEEDS_PIN = Notice(
    kind="pin",
    title="This door opens with a PIN",
    text="Enter your PIN at the panel beside the door.",
)
_TAKES_PIN = Notice(
    kind="pin",
    title="Or use your PIN",
    text="This door also opens with your PIN at the panel beside it.",
)
_IS_GONE = Notice(
    kind="gone",
    title="This door is not available",
    text="Its lock is no longer known here. Please tell whoever sent you this link.",
)


def key_view(
    key: TempKey,
    locks: Mapping[int, Lock],
    now: datetime,
    attempt: Callable[[], str] = new_attempt,
) -> KeyView:
    """The guest page of ``key`` at ``now``. ``locks`` are those of its doors, by id."""
    status = status_of(key, now)
    zone = _zone(next((locks[door.lock_id] for door in key.doors if door.lock_id in locks), None))
    doors = [
        _door_view(key, door, locks.get(door.lock_id), status, zone, now, attempt)
        for door in key.doors
    ]
    may_open = any(door.may_open for door in doors)
    uses_left = None if key.max_uses is None else max(0, key.max_uses - key.used_count)
    if status is KeyStatus.VALID:
        words = _words_of_valid_key(doors, may_open)
    else:
        valid_from = _moment(key.valid_from, zone, now)
        words = _fill(
            _KEY_WORDS[status],
            valid_from=valid_from.text,
            until_then=valid_from.relative,
            valid_until=_moment(key.valid_until, zone, now).text,
            revoked_at=_moment(key.revoked_at or now, zone, now).text,
        )
    return KeyView(
        status=status,
        heading=words.heading,
        message=words.message,
        next_step=words.next_step,
        may_open=may_open,
        doors=doors,
        validity=_validity(key, zone, now),
        uses_left=uses_left,
        uses=_count(_USES_LEFT, uses_left)
        if uses_left is not None and status in (KeyStatus.VALID, KeyStatus.NOT_YET_VALID)
        else None,
        key_url=key_url(key.uuid),
    )


def _words_of_valid_key(doors: list[DoorView], may_open: bool) -> _Words:
    heading = (
        _KEY_TO_ONE.format(door=doors[0].name)
        if len(doors) == 1
        else _count(_KEY_TO_MANY, len(doors))
    )
    if may_open:
        return _Words(heading, _TAP)
    if any(door.opens_by_pin and door.lock is not None for door in doors):
        return _Words(heading, _PIN_ONLY)
    return _Words(heading, _NOTHING_OPENS)


def _door_view(
    key: TempKey,
    door: Door,
    lock: Lock | None,
    status: KeyStatus,
    zone_of_key: ZoneInfo,
    now: datetime,
    attempt: Callable[[], str],
) -> DoorView:
    by_tap = door.access_method is not AccessMethod.CODE
    zone = _zone(lock) if lock is not None else zone_of_key
    return DoorView(
        id=door.id,
        name=_door_name(door, lock),
        lock=lock_view(lock, now) if lock is not None else None,
        opens_by_tap=by_tap,
        opens_by_pin=door.access_method is not AccessMethod.KEY,
        may_open=by_tap and lock is not None and status is KeyStatus.VALID,
        open_url=open_url(key.uuid, door.id),
        attempt=attempt(),
        notices=_notices(door, lock, now) if status is KeyStatus.VALID else [],
        validity=_validity(key, zone, now) if zone.key != zone_of_key.key else None,
    )


def _notices(door: Door, lock: Lock | None, now: datetime) -> list[Notice]:
    """What to know of a door before the tap, the most important first."""
    if lock is None:
        return [_IS_GONE]
    view = lock_view(lock, now)
    notices: list[Notice] = []
    if view.offline_since is not None:
        since = view.offline_since
        notices.append(_notice(_IS_OFFLINE, time=since.text, relative=since.relative))
    elif not view.online:
        notices.append(_NEVER_WAS_ONLINE)
    if view.jammed and view.reported is not None:
        notices.append(_notice(_IS_JAMMED, relative=view.reported.relative))
    if lock.telemetry is not None and lock.telemetry.battery is not None and view.battery_low:
        notices.append(_notice(_HAS_LOW_BATTERY, percent=round(lock.telemetry.battery)))
    if door.access_method is AccessMethod.CODE:
        notices.append(_NEEDS_PIN)
    elif door.access_method is AccessMethod.BOTH:
        notices.append(_TAKES_PIN)
    return notices


def _notice(notice: Notice, **values: object) -> Notice:
    return Notice(kind=notice.kind, title=notice.title, text=notice.text.format(**values))


def _validity(key: TempKey, zone: ZoneInfo, now: datetime) -> Validity:
    return Validity(
        valid_from=_moment(key.valid_from, zone, now),
        valid_until=_moment(key.valid_until, zone, now),
        time_zone=zone.key,
    )


def _door_name(door: Door, lock: Lock | None) -> str:
    if door.label:
        return door.label
    return lock.name if lock is not None else _DOOR_WITHOUT_NAME.format(n=door.id)


def _fill(words: _Words, **values: object) -> _Words:
    return _Words(
        words.heading.format(**values),
        words.message.format(**values),
        words.next_step.format(**values) if words.next_step is not None else None,
    )


# The confirmation page


class Outcome(StrEnum):
    """What the confirmation page says. Styles and scripts see it as ``data-state``."""

    UNKNOWN = "unknown"
    """An open command was sent, and the link does not say which."""
    SENDING = "sending"
    WAITING = "waiting"
    """Not sent yet: the lock is offline and has some seconds to come back."""
    SENT = "sent"
    ACCEPTED = "accepted"
    OPENED = "opened"
    OPENED_EARLIER = "opened-earlier"
    """It opened, and its latch has fallen shut again since."""
    REFUSED = "refused"
    BUSY = "busy"
    FAILED = "failed"
    EXPIRED = "expired"
    OFFLINE = "offline"
    """Expired, or of unknown outcome, because the lock was offline."""
    UNCONFIRMED = "unconfirmed"


class ConfirmationView(Struct, frozen=True, kw_only=True):
    """The confirmation page: what happened (``heading``, ``message``), and what next.

    Only ``Outcome.OPENED`` says that a door is open, and only the command's own
    record makes it that. ``final`` tells the page to stop asking.
    """

    outcome: Outcome
    final: bool
    heading: str
    message: str
    next_step: str
    offline_note: str | None
    offline_meaning: str | None
    use_note: str | None
    door_name: str
    lock: LockView | None
    lock_said: str | None
    """The lock's own word for a refusal or failure that the server has no sentence for."""
    reference: str | None
    requested_at: Moment | None
    page_url: str
    stream_url: str | None
    key_url: str


_OUTCOME_WORDS = {
    Outcome.UNKNOWN: _Words(
        "Open command sent",
        "An open command was sent to the lock. This page cannot tell what the lock answered.",
        "Try the door. If it stays closed, go back to your key and tap Open again.",
    ),
    Outcome.SENDING: _Words(
        "Sending",
        "The open command is on its way to the lock.",
        "Stay at the door. This takes a moment.",
    ),
    Outcome.WAITING: _Words(
        "Waiting for the lock",
        "The lock is offline, so nothing has been sent to it yet.",
        "Stay at the door until {expires_at}. If the lock is back by then, the command goes out.",
    ),
    Outcome.SENT: _Words(
        "Sent to the lock",
        "The open command was sent. The lock has not answered yet.",
        "Stay at the door. This takes a moment.",
    ),
    Outcome.ACCEPTED: _Words(
        "The lock has it",
        "The lock got the open command and is drawing its bolt.",
        "Get ready to push the door.",
    ),
    Outcome.OPENED: _Words(
        "The door is open",
        "Push it now.",
        "It can be pushed for about {seconds} seconds. If you missed it, go back and tap Open "
        "again.",
    ),
    Outcome.OPENED_EARLIER: _Words(
        "The door was opened",
        "The lock opened it on {opened_at}.",
        "It could be pushed for about {seconds} seconds. To open it again, go back to your key.",
    ),
    Outcome.EXPIRED: _Words(
        "The door did not open",
        "The open command could not be delivered in time. Nothing was sent late; it will not open "
        "later.",
        "Go back to your key and tap Open again.",
    ),
    Outcome.OFFLINE: _Words(
        "The lock was offline",
        "It did not come back in time. Nothing was sent late; it will not open later.",
        "Try again in a minute. If the lock stays offline, call whoever sent you this link.",
    ),
    Outcome.UNCONFIRMED: _Words(
        "No answer from the lock",
        "It has not said whether it opened. Try the handle.",
        "If the door stays closed, go back to your key and tap Open again.",
    ),
    Outcome.BUSY: _Words(
        "Somebody else is opening this door",
        "Another opening is under way, so yours was not carried out.",
        "Wait a few seconds. If the door is closed then, go back to your key and tap Open again.",
    ),
}
_OFFLINE_WITHOUT_RECORD = _Words(
    "The lock was offline",
    "It cannot get an open command while it is offline.",
    "Go back to your key to see whether the lock has come back, and tap Open again.",
)

_REFUSED = _Words(
    "The lock refused",
    "The lock got the open command and did not open.",
    "Go back to your key and tap Open again. If it refuses again, call whoever sent you this link.",
)
_REFUSED_BECAUSE = {
    RefusalReason.EXPIRED: _Words(
        "The command came too late",
        "It reached the lock after its time was up, so the lock refused it. It will not open "
        "later.",
        "Go back to your key and tap Open again.",
    ),
    RefusalReason.STALE: _Words(
        "The lock has just reconnected",
        "The open command belonged to its earlier connection, so the lock refused it. It will not "
        "open later.",
        "Go back to your key and tap Open again.",
    ),
    RefusalReason.CLOCK: _Words(
        "The lock is setting its clock",
        "It does not know the time yet, and refuses to open until it does.",
        "Wait a few seconds, then go back to your key and tap Open again.",
    ),
    RefusalReason.JAMMED: _Words(
        "The bolt is jammed",
        "The lock did not open because its bolt is stuck.",
        "Push or pull the door a little to free the bolt, then go back to your key and tap Open "
        "again.",
    ),
}
_FAILED = _Words(
    "The lock could not open",
    "It tried, and did not manage.",
    "Go back to your key and tap Open again. If it fails again, call whoever sent you this link.",
)
_FAILED_BECAUSE = {
    RefusalReason.JAMMED: _Words(
        "The bolt is jammed",
        "The lock tried to open, but its bolt is stuck.",
        "Push or pull the door a little to free the bolt, then go back to your key and tap Open "
        "again.",
    ),
}

_WAS_OFFLINE = "The device was offline when the command was sent."
_OFFLINE_MEANS = {
    Outcome.WAITING: "A command never waits long for a lock. After {expires_at} nothing is sent "
    "any more, and it will not open later.",
    Outcome.SENDING: "It has come back since, and the command is on its way to it.",
    Outcome.SENT: "It has come back since, and the command has been sent to it.",
    Outcome.EXPIRED: "A command never waits for a lock: this one is gone.",
    Outcome.OFFLINE: "A command never waits for a lock: this one is gone.",
    Outcome.UNCONFIRMED: "It came back in time to be sent the command, and has not answered it.",
    Outcome.BUSY: "A command never waits for a lock: yours is gone.",
}
_OFFLINE_MEANS_AT_LEAST = (
    "A command never waits for a lock. If the lock was not back within seconds, nothing was sent "
    "to it, and it will not open later."
)
_NOT_COUNTED = "This try does not count as a use of your key."


def confirmation_view(
    key: TempKey,
    door: Door,
    lock: Lock | None,
    command: OpenCommand | None,
    said_offline: bool,
    now: datetime,
) -> ConfirmationView:
    """The confirmation page of one opening of ``door``, as far as it is known at ``now``.

    ``command`` is None where the link names no command of this key. ``said_offline`` is
    the link's own ``offline=true``, which the command's record may know better.
    """
    zone = _zone(lock)
    was_offline = said_offline or (command is not None and command.offline)
    outcome = _outcome(command, lock, was_offline, now)
    words = _words_of_outcome(outcome, command, was_offline)
    expires_at = command.expires_at if command is not None else now
    values = {
        "door": _door_name(door, lock),
        "expires_at": expires_at.astimezone(zone).strftime("%H:%M:%S"),
        "opened_at": _moment(_opened_at(command) or now, zone, now).text,
        "seconds": _open_for_seconds(lock),
    }
    words = _fill(words, **values)
    meaning = _offline_meaning(outcome, command) if was_offline else None
    return ConfirmationView(
        outcome=outcome,
        final=command is None or command.state in SHOWN_AS_FINAL or _is_overdue(command, now),
        heading=words.heading,
        message=words.message,
        next_step=words.next_step or "",
        offline_note=_WAS_OFFLINE if meaning is not None else None,
        offline_meaning=meaning.format(**values) if meaning is not None else None,
        use_note=_NOT_COUNTED
        if command is not None and command.state in USE_GIVEN_BACK and key.max_uses is not None
        else None,
        door_name=_door_name(door, lock),
        lock=lock_view(lock, now) if lock is not None else None,
        lock_said=_lock_said(command),
        reference=command.id[:REFERENCE_LENGTH] if command is not None else None,
        requested_at=_moment(command.requested_at, zone, now, seconds=True)
        if command is not None
        else None,
        page_url=confirmation_url(
            key.uuid, door.id, command.id if command is not None else None, said_offline
        ),
        stream_url=stream_url(key.uuid, door.id, command.id, said_offline)
        if command is not None
        else None,
        key_url=key_url(key.uuid),
    )


def _offline_meaning(outcome: Outcome, command: OpenCommand | None) -> str | None:
    """What it means that the lock was offline; None where it has answered, which says more."""
    if command is None:
        return _OFFLINE_MEANS_AT_LEAST
    if outcome is Outcome.UNCONFIRMED and command.state is CommandState.QUEUED:
        return _OFFLINE_MEANS_AT_LEAST  # nobody knows whether it was sent
    return _OFFLINE_MEANS.get(outcome)


def _outcome(
    command: OpenCommand | None, lock: Lock | None, was_offline: bool, now: datetime
) -> Outcome:
    if command is None:
        return Outcome.OFFLINE if was_offline else Outcome.UNKNOWN
    if _is_overdue(command, now):
        return Outcome.UNCONFIRMED
    match command.state:
        case CommandState.QUEUED:
            online = lock is not None and lock.connection.online
            # Once a session has it in hand, only that one knows whether it was sent.
            in_hand = command.session_id is not None
            return Outcome.SENDING if online or in_hand else Outcome.WAITING
        case CommandState.OPENED if not _can_be_pushed(command, lock, now):
            return Outcome.OPENED_EARLIER
        case CommandState.REFUSED if command.reason == RefusalReason.BUSY:
            return Outcome.BUSY
        case CommandState.EXPIRED if was_offline:
            return Outcome.OFFLINE
        case state:
            return Outcome(state.value)


def _words_of_outcome(outcome: Outcome, command: OpenCommand | None, was_offline: bool) -> _Words:
    if command is None:
        return _OFFLINE_WITHOUT_RECORD if was_offline else _OUTCOME_WORDS[Outcome.UNKNOWN]
    reason = _reason(command)
    if outcome is Outcome.REFUSED:
        return _REFUSED if reason is None else _REFUSED_BECAUSE.get(reason, _REFUSED)
    if outcome is Outcome.FAILED:
        return _FAILED if reason is None else _FAILED_BECAUSE.get(reason, _FAILED)
    return _OUTCOME_WORDS[outcome]


def _reason(command: OpenCommand) -> RefusalReason | None:
    try:
        return RefusalReason(command.reason or "")
    except ValueError:
        return None


def _lock_said(command: OpenCommand | None) -> str | None:
    """The reason of a refusal or failure, where it is a word of the lock's own."""
    if command is None or command.reason is None or _reason(command) is not None:
        return None
    said = command.state in (CommandState.REFUSED, CommandState.FAILED)
    return command.reason if said else None


def _is_overdue(command: OpenCommand, now: datetime) -> bool:
    return command.state not in SHOWN_AS_FINAL and now >= command.answer_due_at + OVERDUE


def _opened_at(command: OpenCommand | None) -> datetime | None:
    """When the lock opened; a report that came late is about an opening in time."""
    if command is None or command.state is not CommandState.OPENED:
        return None
    written = [step.at for step in command.history if step.state is CommandState.OPENED]
    return min([*written, command.answer_due_at])


def _can_be_pushed(command: OpenCommand, lock: Lock | None, now: datetime) -> bool:
    opened_at = _opened_at(command)
    if opened_at is None:
        return False
    return now < opened_at + timedelta(seconds=_open_for_seconds(lock)) + PUSH_SLACK


def _open_for_seconds(lock: Lock | None) -> int:
    return max(1, round(lock.open_for_seconds)) if lock is not None else 1


# The error page


class ErrorWords(Struct, frozen=True, kw_only=True):
    """What ``error.html`` says: what happened, and what next."""

    title: str
    message: str
    next_step: str


_ERROR_WORDS = {
    "not_found": _Words(
        "Page not found",
        "There is nothing at this address.",
        "Check that you opened the whole link, or ask whoever sent it to send it again.",
    ),
    "temp_key_not_found": _Words(
        "Key not found",
        "There is no key at this link.",
        "Check that you opened the whole link, or ask whoever sent it to send it again.",
    ),
    "door_not_found": _Words(
        "Door not found",
        "Your key has no such door.",
        "Go back to your key and choose a door there.",
    ),
    "invalid_input": _Words(
        "That did not work",
        "The server could not make sense of the request. Nothing was sent to the lock.",
        "Go back to your key and tap Open again.",
    ),
    "method_not_allowed": _Words(
        "This is not a page to visit",
        "This address only takes what a button sends. Nothing was sent to the lock.",
        "Open your link again and tap Open there.",
    ),
    "unauthenticated": _Words(
        "Please sign in",
        "This key is personal: it works only for the people it names.",
        "Sign in, then open your link again.",
    ),
    "guest_not_allowed": _Words(
        "This key is somebody else's",
        "This key is personal, and it does not name you.",
        "Ask whoever sent you this link for a key of your own.",
    ),
    "forbidden": _Words(
        "Not allowed",
        "You may not open this page.",
        "If you think you should, ask whoever sent you this link.",
    ),
    "key_revoked": _Words(
        "Your key was revoked",
        "It opens nothing any more. Nothing was sent to the lock.",
        "If you did not expect this, ask whoever sent you this link.",
    ),
    "key_not_yet_valid": _Words(
        "Your key is not valid yet",
        "It is too early to open this door. Nothing was sent to the lock.",
        "Go back to your key to see from when it works.",
    ),
    "key_expired": _Words(
        "Your key has expired",
        "Its time is over. Nothing was sent to the lock.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    "key_used_up": _Words(
        "Your key is used up",
        "It has opened as often as it may. Nothing was sent to the lock.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    "door_needs_code": _Words(
        "This door opens with a PIN",
        "It does not open from this page. Nothing was sent to the lock.",
        "Enter your PIN at the panel beside the door.",
    ),
    "too_many_requests": _Words(
        "Too many tries",
        "There were too many tries in a short time. Nothing was sent to the lock.",
        "Wait a minute, then go back to your key and tap Open again.",
    ),
    "storage_unavailable": _Words(
        "The server is busy",
        "It could not do this just now, and nothing will be sent to the lock later.",
        "Try again in a moment.",
    ),
}
_SOMETHING_WENT_WRONG = _Words(
    "Something went wrong",
    "It is our fault, not yours.",
    "Try again in a moment. If you have just tapped Open, try the handle first.",
)


def error_words(reason: str) -> ErrorWords:
    """What to tell a guest for the stable ``reason`` word of an error."""
    words = _ERROR_WORDS.get(reason, _SOMETHING_WENT_WRONG)
    return ErrorWords(title=words.heading, message=words.message, next_step=words.next_step or "")
