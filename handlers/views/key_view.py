"""The guest page of a temp key: which doors it opens, or why it does not."""

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from babel.lists import format_list
from msgspec import Struct

from handlers.languages import Language, choices
from handlers.views.key_notices import Notice, notices_of, outside_hours
from handlers.views.lock_view import LockView, lock_view
from handlers.views.moments import Moment, moment_of, zone_of
from handlers.views.urls import key_url, open_url
from handlers.views.words import N_, N_plural, Words, filled
from server.domain.commands import new_attempt
from server.domain.locks import Lock
from server.domain.pins import pin_doors
from server.domain.temp_keys import (
    AccessMethod,
    Door,
    KeyStatus,
    TempKey,
    status_of,
)


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
    asks_again: bool
    """Whether the lock wants a second tap: then the button leads to a page that asks for it."""
    notices: list[Notice]
    validity: Validity | None
    """Only where this door's time zone is not the first door's."""


class OtherLanguage(Struct, frozen=True, kw_only=True):
    """Where the page is in another language, which has its own name for itself."""

    code: str
    name: str
    url: str


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
    languages: list[OtherLanguage]
    pin: PinView | None = None


_KEY_WORDS = {
    KeyStatus.NOT_YET_VALID: Words(
        N_("Your key is not valid yet"),
        N_("It works from {valid_from} ({until_then})."),
        N_("Keep this link. Come back to this page then, and the Open button will be here."),
    ),
    KeyStatus.EXPIRED: Words(
        N_("Your key has expired"),
        N_("It was valid until {valid_until}."),
        N_("If you still need to get in, ask whoever sent you this link for a new one."),
    ),
    KeyStatus.USED_UP: Words(
        N_("Your key is used up"),
        N_("It has opened as often as it may."),
        N_("If you still need to get in, ask whoever sent you this link for a new one."),
    ),
    KeyStatus.REVOKED: Words(
        N_("Your key was revoked"),
        N_("It was taken back on {revoked_at} and opens nothing any more."),
        N_("If you did not expect this, ask whoever sent you this link."),
    ),
}
_KEY_TO_ONE = N_("Your key to {door}")
_KEY_TO_MANY = N_plural("Your key to {n} door", "Your key to {n} doors")
_TAP = N_("When you stand at the door, tap the button.")
_PIN_ONLY = N_("Enter your PIN at the panel beside the door.")
_NOTHING_OPENS = N_("None of its doors can be opened from this page at the moment.")
_USES_LEFT = N_plural("You can use it {n} more time.", "You can use it {n} more times.")
_PIN_GROUP = 3
_PIN_OPENS_ONE = N_("It opens {door}: enter it at the panel beside the door.")
_PIN_OPENS_MANY = N_("It opens {doors}: enter it at the panel beside each door.")
_DOOR_WITHOUT_NAME = N_("Door {n}")


def key_view(
    key: TempKey,
    locks: Mapping[int, Lock],
    now: datetime,
    language: Language,
    attempt: Callable[[], str] = new_attempt,
    pin: str | None = None,
) -> KeyView:
    """The guest page of ``key`` at ``now``. ``locks`` are those of its doors, by id.

    Its ``pin`` is shown while the key is valid, and before that.
    """
    status = status_of(key, now)
    zone = zone_of(next((locks[door.lock_id] for door in key.doors if door.lock_id in locks), None))
    doors = [
        _door_view(key, door, locks.get(door.lock_id), status, zone, now, language, attempt)
        for door in key.doors
    ]
    may_open = any(door.may_open for door in doors)
    uses_left = None if key.max_uses is None else max(0, key.max_uses - key.used_count)
    if status is KeyStatus.VALID:
        words = _words_of_valid_key(doors, may_open, language)
    else:
        valid_from = moment_of(key.valid_from, zone, now, language)
        words = filled(
            _KEY_WORDS[status],
            language,
            valid_from=valid_from.text,
            until_then=valid_from.relative,
            valid_until=moment_of(key.valid_until, zone, now, language).text,
            revoked_at=moment_of(key.revoked_at or now, zone, now, language).text,
        )
    return KeyView(
        status=status,
        heading=words.heading,
        message=words.message,
        next_step=words.next_step,
        may_open=may_open,
        doors=doors,
        validity=_validity(key, zone, now, language),
        uses_left=uses_left,
        uses=language.count(*_USES_LEFT, uses_left)
        if uses_left is not None and status in (KeyStatus.VALID, KeyStatus.NOT_YET_VALID)
        else None,
        key_url=language.link(key_url(key.uuid)),
        languages=[
            OtherLanguage(code=other.code, name=other.own_name, url=other.link(key_url(key.uuid)))
            for other in choices()
            if other.code != language.code
        ],
        pin=_pin_view(key, locks, pin, language)
        if pin is not None and status in (KeyStatus.VALID, KeyStatus.NOT_YET_VALID)
        else None,
    )


def _pin_view(key: TempKey, locks: Mapping[int, Lock], pin: str, language: Language) -> PinView:
    doors = [door_name(door, locks.get(door.lock_id), language) for door in pin_doors(key)]
    return PinView(
        groups=[pin[start : start + _PIN_GROUP] for start in range(0, len(pin), _PIN_GROUP)],
        spoken=" ".join(pin),
        message=language.say(_PIN_OPENS_ONE, door=doors[0])
        if len(doors) == 1
        else language.say(_PIN_OPENS_MANY, doors=format_list(doors, locale=language.formats)),
    )


def _words_of_valid_key(doors: list[DoorView], may_open: bool, language: Language) -> Words:
    heading = (
        language.say(_KEY_TO_ONE, door=doors[0].name)
        if len(doors) == 1
        else language.count(*_KEY_TO_MANY, len(doors))
    )
    if may_open:
        return Words(heading, language.say(_TAP))
    if any(door.opens_by_pin and door.lock is not None for door in doors):
        return Words(heading, language.say(_PIN_ONLY))
    return Words(heading, language.say(_NOTHING_OPENS))


def _door_view(
    key: TempKey,
    door: Door,
    lock: Lock | None,
    status: KeyStatus,
    zone_of_key: ZoneInfo,
    now: datetime,
    language: Language,
    attempt: Callable[[], str],
) -> DoorView:
    by_tap = door.access_method is not AccessMethod.CODE
    zone = zone_of(lock) if lock is not None else zone_of_key
    is_valid = status is KeyStatus.VALID
    closed = outside_hours(key, zone, now, language) if is_valid else None
    notices = notices_of(door, lock, now, language) if is_valid else []
    return DoorView(
        id=door.id,
        name=door_name(door, lock, language),
        lock=lock_view(lock, now, language) if lock is not None else None,
        opens_by_tap=by_tap,
        opens_by_pin=door.access_method is not AccessMethod.KEY,
        may_open=by_tap and lock is not None and is_valid and closed is None,
        open_url=language.link(open_url(key.uuid, door.id)),
        attempt=attempt(),
        asks_again=lock is not None and lock.open_confirmation,
        notices=notices if closed is None else [closed, *notices],
        validity=_validity(key, zone, now, language) if zone.key != zone_of_key.key else None,
    )


def _validity(key: TempKey, zone: ZoneInfo, now: datetime, language: Language) -> Validity:
    return Validity(
        valid_from=moment_of(key.valid_from, zone, now, language),
        valid_until=moment_of(key.valid_until, zone, now, language),
        time_zone=zone.key,
    )


def door_name(door: Door, lock: Lock | None, language: Language) -> str:
    """What guests call a door: its label in the key, or the name of its lock."""
    if door.label:
        return door.label
    return lock.name if lock is not None else language.say(_DOOR_WITHOUT_NAME, n=door.id)
