"""The guest page of a temp key: which doors it opens, or why it does not."""

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from handlers.views.lock_view import LockView, lock_view
from handlers.views.moments import Moment, counted, moment_of, zone_of
from handlers.views.urls import key_url, open_url
from handlers.views.words import Words, filled
from server.domain.commands import new_attempt
from server.domain.locks import Lock
from server.domain.pins import pin_doors
from server.domain.temp_keys import AccessMethod, Door, KeyStatus, TempKey, status_of


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


class PinView(Struct, frozen=True, kw_only=True):
    """A PIN to read at a panel: in ``groups`` of three, and ``spoken`` digit by digit."""

    groups: list[str]
    spoken: str
    message: str

    def __repr__(self) -> str:
        return "PinView(…)"


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
    pin: PinView | None = None


_KEY_WORDS = {
    KeyStatus.NOT_YET_VALID: Words(
        "Your key is not valid yet",
        "It works from {valid_from} ({until_then}).",
        "Keep this link. Come back to this page then, and the Open button will be here.",
    ),
    KeyStatus.EXPIRED: Words(
        "Your key has expired",
        "It was valid until {valid_until}.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    KeyStatus.USED_UP: Words(
        "Your key is used up",
        "It has opened as often as it may.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    KeyStatus.REVOKED: Words(
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
_PIN_GROUP = 3
_PIN_OPENS_ONE = "It opens {door}: enter it at the panel beside the door."
_PIN_OPENS_MANY = "It opens {doors} and {last}: enter it at the panel beside each door."
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
    pin: str | None = None,
) -> KeyView:
    """The guest page of ``key`` at ``now``. ``locks`` are those of its doors, by id.

    Its ``pin`` is shown while the key is valid, and before that.
    """
    status = status_of(key, now)
    zone = zone_of(next((locks[door.lock_id] for door in key.doors if door.lock_id in locks), None))
    doors = [
        _door_view(key, door, locks.get(door.lock_id), status, zone, now, attempt)
        for door in key.doors
    ]
    may_open = any(door.may_open for door in doors)
    uses_left = None if key.max_uses is None else max(0, key.max_uses - key.used_count)
    if status is KeyStatus.VALID:
        words = _words_of_valid_key(doors, may_open)
    else:
        valid_from = moment_of(key.valid_from, zone, now)
        words = filled(
            _KEY_WORDS[status],
            valid_from=valid_from.text,
            until_then=valid_from.relative,
            valid_until=moment_of(key.valid_until, zone, now).text,
            revoked_at=moment_of(key.revoked_at or now, zone, now).text,
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
        uses=counted(_USES_LEFT, uses_left)
        if uses_left is not None and status in (KeyStatus.VALID, KeyStatus.NOT_YET_VALID)
        else None,
        key_url=key_url(key.uuid),
        pin=_pin_view(key, locks, pin)
        if pin is not None and status in (KeyStatus.VALID, KeyStatus.NOT_YET_VALID)
        else None,
    )


def _pin_view(key: TempKey, locks: Mapping[int, Lock], pin: str) -> PinView:
    doors = [door_name(door, locks.get(door.lock_id)) for door in pin_doors(key)]
    *others, last = doors
    return PinView(
        groups=[pin[start : start + _PIN_GROUP] for start in range(0, len(pin), _PIN_GROUP)],
        spoken=" ".join(pin),
        message=_PIN_OPENS_ONE.format(door=last)
        if not others
        else _PIN_OPENS_MANY.format(doors=", ".join(others), last=last),
    )


def _words_of_valid_key(doors: list[DoorView], may_open: bool) -> Words:
    heading = (
        _KEY_TO_ONE.format(door=doors[0].name)
        if len(doors) == 1
        else counted(_KEY_TO_MANY, len(doors))
    )
    if may_open:
        return Words(heading, _TAP)
    if any(door.opens_by_pin and door.lock is not None for door in doors):
        return Words(heading, _PIN_ONLY)
    return Words(heading, _NOTHING_OPENS)


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
    zone = zone_of(lock) if lock is not None else zone_of_key
    return DoorView(
        id=door.id,
        name=door_name(door, lock),
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
        valid_from=moment_of(key.valid_from, zone, now),
        valid_until=moment_of(key.valid_until, zone, now),
        time_zone=zone.key,
    )


def door_name(door: Door, lock: Lock | None) -> str:
    if door.label:
        return door.label
    return lock.name if lock is not None else _DOOR_WITHOUT_NAME.format(n=door.id)
