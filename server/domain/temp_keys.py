"""Temp keys: time-limited links that open doors, and the rules for using them."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from server.domain.errors import DoorNotFound, InvalidInput
from server.domain.organizations import Guest
from server.domain.refusals import (
    DoorNeedsCode,
    GuestNotAllowed,
    KeyExpired,
    KeyNotYetValid,
    KeyOutsideSchedule,
    KeyRefused,
    KeyRevoked,
    KeyUsedUp,
)
from server.domain.schedule import Schedule, ScheduleWindow, is_open, next_opening
from server.domain.times import AwareTime

LONGEST_WINDOW = timedelta(days=5 * 366)
SAME_TAP = timedelta(seconds=3)
"""Two taps on a door without an attempt token count as one within this time."""

LockIdText = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,15}$")]
LockIdNumber = Annotated[int, Meta(ge=1, le=2**53 - 1)]
KeyUuid = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,128}\Z", max_length=128)]
"""A key's uuid where the caller chooses it: text that a URL can carry as it is."""
DoorLabel = Annotated[str, Meta(max_length=120)]
Description = Annotated[str, Meta(max_length=2000)]
UserId = Annotated[str, Meta(min_length=1, max_length=200)]
AllowedUserIds = Annotated[list[UserId], Meta(max_length=1000)]
MaxUses = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class AccessMethod(StrEnum):
    """How a door of a key opens: the guest page's button, the PIN at a panel, or either."""

    KEY = "key"
    CODE = "code"
    BOTH = "both"


class AccessMode(StrEnum):
    """Who may use a key: whoever has the link, or the users it names."""

    PUBLIC = "public"
    USER_WHITELIST = "user-whitelist"


class KeyStatus(StrEnum):
    """What a key is at an instant, as lists and pages show it."""

    VALID = "valid"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    USED_UP = "used-up"
    REVOKED = "revoked"


class Door(Struct, frozen=True, kw_only=True, rename="camel"):
    """One entry of a temp key; ``id`` counts from 1 within the key."""

    id: int
    lock_id: int
    lock_uuid: str
    label: str | None = None
    access_method: AccessMethod = AccessMethod.KEY


class Claim(Struct, frozen=True, kw_only=True, rename="camel"):
    """A use of the key that was taken for one open command and is not settled yet.

    ``marked`` is whether the tap came with an attempt of its own: then only the same
    attempt repeats it.
    """

    command_id: str
    door_id: int
    lock_id: int
    at: datetime
    expires_at: datetime
    marked: bool = False
    user_id: str | None = None


class ClaimedUse(Struct, frozen=True, kw_only=True):
    """What came of claiming a use: the claim, and how many uses the key has seen with it.

    ``use_number`` is None where the claim is an earlier one, which the tap repeats.
    """

    claim: Claim
    use_number: int | None


class TempKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A temp key. Whoever knows ``uuid`` has the link: it is a secret."""

    uuid: str
    org_id: str
    created_by: str
    created_at: datetime
    valid_from: datetime
    valid_until: datetime
    doors: list[Door]
    description: str | None = None
    access_mode: AccessMode = AccessMode.PUBLIC
    allowed_user_ids: list[str] = []
    schedule: list[ScheduleWindow] = []
    max_uses: int | None = None
    used_count: int = 0
    revoked_at: datetime | None = None
    claims: list[Claim] = []

    def door(self, door_id: int) -> Door:
        """The door of this key with that number.

        Raises:
            DoorNotFound: the key has no such door.
        """
        for door in self.doors:
            if door.id == door_id:
                return door
        raise DoorNotFound

    def first_door_to_slide(self) -> Door:
        """The first door that the guest page can open.

        Raises:
            DoorNeedsCode: every door of the key opens by PIN only.
        """
        for door in self.doors:
            if door.access_method is not AccessMethod.CODE:
                return door
        raise DoorNeedsCode


class NewDoor(Struct, frozen=True, kw_only=True, rename="camel"):
    """A door as an operator asks for it."""

    lock_id: LockIdNumber | LockIdText
    label: DoorLabel | None = None
    access_method: AccessMethod = AccessMethod.KEY


class NewTempKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A temp key as an operator asks for it (HTTP contract, Part 1 section 2 and Part 2)."""

    valid_from: AwareTime
    valid_until: AwareTime
    doors: Annotated[list[NewDoor], Meta(min_length=1, max_length=50)]
    description: Description | None = None
    access_mode: AccessMode = AccessMode.PUBLIC
    allowed_user_ids: AllowedUserIds = []
    schedule: Schedule = []
    max_uses: MaxUses | None = None


def check_window(valid_from: datetime, valid_until: datetime, now: datetime) -> None:
    """Refuse a window that no key may have (HTTP contract, Part 2, "window").

    Raises:
        InvalidInput: it is empty, longer than five years or wholly in the past.
    """
    if valid_from >= valid_until:
        raise InvalidInput("validUntil", "must be later than validFrom")
    if valid_until <= now:
        raise InvalidInput("validUntil", "is in the past")
    if valid_until - valid_from > LONGEST_WINDOW:
        raise InvalidInput("validUntil", "a key may be valid for five years at most")


def check_key(key: TempKey, now: datetime) -> None:
    """Refuse a temp key that must not open its door at ``now`` (aware, UTC).

    The window is half open: good at ``valid_from``, no longer at ``valid_until``.

    Raises:
        KeyRevoked, KeyNotYetValid, KeyExpired, KeyUsedUp: the first that applies, in this order.
    """
    if key.revoked_at is not None:
        raise KeyRevoked
    if now < key.valid_from:
        raise KeyNotYetValid(key.valid_from)
    if now >= key.valid_until:
        raise KeyExpired(key.valid_until)
    if key.max_uses is not None and key.used_count >= key.max_uses:
        raise KeyUsedUp


def check_schedule(key: TempKey, zone: ZoneInfo, now: datetime) -> None:
    """Refuse a temp key whose schedule is closed at ``now`` in the door's ``zone``.

    Raises:
        KeyOutsideSchedule: it names when the schedule opens next while the key is valid.
    """
    if not is_open(key.schedule, zone, now):
        after = max(now, key.valid_from)
        raise KeyOutsideSchedule(next_opening(key.schedule, zone, after, key.valid_until))


_STATUS_OF_REFUSAL: dict[type[KeyRefused], KeyStatus] = {
    KeyRevoked: KeyStatus.REVOKED,
    KeyNotYetValid: KeyStatus.NOT_YET_VALID,
    KeyExpired: KeyStatus.EXPIRED,
    KeyUsedUp: KeyStatus.USED_UP,
}


def status_of(key: TempKey, now: datetime) -> KeyStatus:
    """What ``key`` is at ``now``: ``valid`` exactly when ``check_key`` passes."""
    try:
        check_key(key, now)
    except KeyRefused as refusal:
        return _STATUS_OF_REFUSAL[type(refusal)]
    return KeyStatus.VALID


def check_door_opens_by_tap(door: Door) -> None:
    """Refuse a tap for a door that only a PIN at its panel opens.

    Raises:
        DoorNeedsCode: the door's access method is ``code``.
    """
    if door.access_method is AccessMethod.CODE:
        raise DoorNeedsCode


def check_guest(key: TempKey, guest: Guest) -> None:
    """Refuse a guest whom a personal key does not name.

    Raises:
        GuestNotAllowed: the key is for listed users, and this guest is none of them.
    """
    if key.access_mode is AccessMode.USER_WHITELIST and guest.user_id not in key.allowed_user_ids:
        raise GuestNotAllowed("This key is for somebody else")


def claim_for_same_tap(
    key: TempKey, door_id: int, command_id: str, requested_at: datetime, marked: bool = False
) -> Claim | None:
    """The unsettled claim that a new tap on ``door_id`` repeats, if it repeats one.

    It does when it carries the same attempt (and so the same ``command_id``), or, where
    neither is ``marked`` by an attempt, comes within three seconds of the other
    ("repeated open" of the HTTP contract).
    """
    for claim in key.claims:
        if claim.command_id == command_id:
            return claim
        unmarked = not (marked or claim.marked)
        if unmarked and claim.door_id == door_id and requested_at - claim.at < SAME_TAP:
            return claim
    return None
