"""Keys in lists, and one key on its own page, for its operators."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from handlers.views.desk_moments import desk_moment
from handlers.views.desk_words import TROUBLES
from handlers.views.moments import Moment, zone_of
from handlers.views.urls import key_page_url, key_url, lock_page_url
from server.domain.attention import troubles_of
from server.domain.explain import Explanation
from server.domain.locks import Lock
from server.domain.schedule import ScheduleWindow, Weekday
from server.domain.temp_keys import AccessMethod, AccessMode, KeyStatus, TempKey, status_of
from server.services.arrivals import Arrival


class DoorRow(Struct, frozen=True, kw_only=True):
    """A door of a key, and what is the matter with its lock."""

    id: int
    name: str
    url: str
    opens: str
    troubles: list[str]


class KeyRow(Struct, frozen=True, kw_only=True):
    """One key of a list."""

    name: str
    url: str
    status: str
    tone: str
    doors: list[DoorRow]
    valid_from: Moment
    valid_until: Moment
    begins: str | None
    uses: str


class KeyPageView(Struct, frozen=True, kw_only=True):
    """The page of one key."""

    row: KeyRow
    link: str
    qr_url: str
    revoke_url: str
    may_revoke: bool
    time_zone: str
    schedule: list[str]
    personal: list[str]
    created: str


class ExplanationView(Struct, frozen=True, kw_only=True):
    """Whether a door would open, and what each rule says."""

    heading: str
    opens: bool
    rules: list[tuple[bool, str]]
    next_opening: str | None


_STATUS: Mapping[KeyStatus, tuple[str, str]] = {
    KeyStatus.VALID: ("Valid", "on"),
    KeyStatus.NOT_YET_VALID: ("Not yet valid", "later"),
    KeyStatus.EXPIRED: ("Expired", "over"),
    KeyStatus.USED_UP: ("Used up", "over"),
    KeyStatus.REVOKED: ("Revoked", "off"),
}
_OPENS: Mapping[AccessMethod, str] = {
    AccessMethod.KEY: "by tap",
    AccessMethod.CODE: "by PIN",
    AccessMethod.BOTH: "by tap or PIN",
}
DAY_NAMES: Mapping[Weekday, str] = dict(
    zip(Weekday, ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True)
)
_YES = "Yes: {door} opens on {time}"
_NO = "No: {door} does not open on {time}"


def key_rows(keys: Sequence[TempKey], locks: Mapping[int, Lock], now: datetime) -> list[KeyRow]:
    """Keys as lists show them; ``locks`` are those of their doors, as far as they are known."""
    return [key_row(key, locks, now) for key in keys]


def arrival_rows(arrivals: Sequence[Arrival], now: datetime) -> list[KeyRow]:
    """Arrivals at risk, each with its doors that are in trouble."""
    return [
        key_row(
            arrival.key,
            {one.lock.id: one.lock for one in arrival.doors},
            now,
            only={one.door.id for one in arrival.doors},
        )
        for arrival in arrivals
    ]


def key_row(
    key: TempKey, locks: Mapping[int, Lock], now: datetime, only: set[int] | None = None
) -> KeyRow:
    """One key; of its doors those in ``only``, where that is given."""
    zone = key_zone(key, locks)
    status, tone = _STATUS[status_of(key, now)]
    return KeyRow(
        name=key.description
        or f"Unnamed, issued {desk_moment(key.created_at, zone, now).relative}",
        url=key_page_url(key.uuid),
        status=status,
        tone=tone,
        doors=[
            DoorRow(
                id=door.id,
                name=door_words(door.label, locks.get(door.lock_id), door.lock_id),
                url=lock_page_url(door.lock_id),
                opens=_OPENS[door.access_method],
                troubles=[TROUBLES[one] for one in troubles_of(locks[door.lock_id])]
                if door.lock_id in locks
                else [],
            )
            for door in key.doors
            if only is None or door.id in only
        ],
        valid_from=desk_moment(key.valid_from, zone, now),
        valid_until=desk_moment(key.valid_until, zone, now),
        begins=desk_moment(key.valid_from, zone, now).relative if key.valid_from > now else None,
        uses=f"{key.used_count}" + ("" if key.max_uses is None else f" of {key.max_uses}"),
    )


def key_page_view(
    key: TempKey, locks: Mapping[int, Lock], now: datetime, base_url: str
) -> KeyPageView:
    """One key, with the link that its guest is sent."""
    row = key_row(key, locks, now)
    zone = key_zone(key, locks)
    is_personal = key.access_mode is AccessMode.USER_WHITELIST
    return KeyPageView(
        row=row,
        link=base_url + key_url(key.uuid),
        qr_url=f"{row.url}/qr.svg",
        revoke_url=f"{row.url}/revoke",
        may_revoke=key.revoked_at is None and now < key.valid_until,
        time_zone=zone.key,
        schedule=[schedule_words(window) for window in key.schedule],
        personal=key.allowed_user_ids if is_personal else [],
        created=f"{desk_moment(key.created_at, zone, now).text}, by {key.created_by}",
    )


def explanation_view(
    explained: Explanation, key: TempKey, locks: Mapping[int, Lock], door_id: int, at: datetime
) -> ExplanationView:
    """The answer to "would it open?"."""
    door = key.door(door_id)
    zone = zone_of(locks.get(door.lock_id))
    name = door_words(door.label, locks.get(door.lock_id), door.lock_id)
    heading = (_YES if explained.opens else _NO).format(
        door=name, time=desk_moment(at, zone, at).text
    )
    following = explained.next_opening
    return ExplanationView(
        heading=heading,
        opens=explained.opens,
        rules=[(rule.passed, rule.message) for rule in explained.rules],
        next_opening=None
        if following is None or explained.opens
        else desk_moment(following, zone, at).text,
    )


def schedule_words(window: ScheduleWindow) -> str:
    """A window of a schedule: ``Mon, Tue 08:00 to 17:00``."""
    days = ", ".join(DAY_NAMES[day] for day in window.days)
    return f"{days} {window.begin} to {window.until}"


def door_words(label: str | None, lock: Lock | None, lock_id: int) -> str:
    """A door's name: what the guest reads, and the lock behind it."""
    name = lock.name if lock is not None else f"Lock {lock_id}"
    return name if not label or label == name else f"{label} ({name})"


def key_zone(key: TempKey, locks: Mapping[int, Lock]) -> ZoneInfo:
    """The zone of a key's first door, as far as that is known."""
    return zone_of(next((locks[d.lock_id] for d in key.doors if d.lock_id in locks), None))
