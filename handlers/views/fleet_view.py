"""The fleet page: a row for each lock, and links to what needs attention."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from handlers.views.desk_moments import counted, desk_moment
from handlers.views.desk_words import TROUBLES, WHY_OFFLINE
from handlers.views.moments import Moment, zone_of
from handlers.views.urls import FLEET_URL, lock_page_url, with_query
from server.domain.attention import Attention, Trouble, troubles_of
from server.domain.locks import Lock
from server.domain.presence import Stretch
from server.services.fleet import FleetPage, FleetQuestion, Show


class BarView(Struct, frozen=True, kw_only=True):
    """Two days of presence as a picture: what is offline and what is unknown, as SVG paths."""

    offline: str
    unknown: str
    words: str


class RowView(Struct, frozen=True, kw_only=True):
    """One lock of the fleet."""

    id: int
    name: str
    url: str
    online: bool
    state: str
    why: str | None
    since: Moment | None
    troubles: list[str]
    battery: str | None
    battery_low: bool
    signal: str | None
    firmware: str | None
    reported: Moment | None
    bar: BarView | None


class Link(Struct, frozen=True, kw_only=True):
    """A link of a list of choices, with how many it leads to."""

    words: str
    url: str
    count: int | None
    chosen: bool
    tone: str = ""


class FleetView(Struct, frozen=True, kw_only=True):
    """The fleet page."""

    heading: str
    rows: list[RowView]
    links: list[Link]
    found: str
    question: FleetQuestion
    firmwares: Mapping[str, int]
    previous: str | None
    following: str | None
    page: int
    pages: int
    is_empty: bool
    is_filtered: bool


BAR_WIDTH, BAR_HEIGHT = 192, 14
"""A quarter of an hour is one unit wide: fine enough to see, coarse enough to send."""

_ALL_WELL = "All {n} locks are fine"
_ONE_WELL = "Your lock is fine"
_NEED = ("{n} of {all} locks needs attention", "{n} of {all} locks need attention")
_FOUND = ("{n} lock", "{n} locks")
_ONLINE_ALL = "Online all of {what}"
_ONLINE_PART = "Online {percent} % of {what}; offline {times}"
_ALL_OF_IT = "the last 48 hours"
_WHAT_IS_KNOWN = "what is known of the last 48 hours"
_TIMES = ("once", "{n} times")
_SIGNALS = ((-60, "strong"), (-75, "good"), (-85, "weak"))
_SIGNAL_WEAKEST = "very weak"
_LINKS: Sequence[tuple[Show, str, Trouble | None]] = (
    (Show.OFFLINE, "Offline", Trouble.OFFLINE),
    (Show.JAMMED, "Jammed", Trouble.JAMMED),
    (Show.BATTERY, "Battery low", Trouble.BATTERY_LOW),
    (Show.CLOCK, "Clock off", Trouble.CLOCK_SKEWED),
    (Show.NEVER, "Never connected", Trouble.NEVER_ONLINE),
)


def fleet_view(asked: FleetQuestion, page: FleetPage) -> FleetView:
    """The page that answers a question about the fleet."""
    attention = page.attention
    return FleetView(
        heading=_heading(attention),
        rows=[lock_row(lock, page.presence.get(lock.id), page.at) for lock in page.locks],
        links=attention_links(asked, attention),
        found=counted(_FOUND, page.found),
        question=asked,
        firmwares=page.firmwares,
        previous=_page_url(asked, page.page - 1) if page.page > 1 else None,
        following=_page_url(asked, page.page + 1) if page.page < page.pages else None,
        page=page.page,
        pages=page.pages,
        is_empty=attention.locks == 0,
        is_filtered=bool(asked.text or asked.firmware or asked.show is not Show.ALL),
    )


def attention_links(asked: FleetQuestion, attention: Attention) -> list[Link]:
    """The choices above the table: everything, what needs attention, and each kind of trouble."""
    links = [
        _link(asked, Show.ALL, "All", attention.locks),
        _link(asked, Show.ATTENTION, "Need attention", attention.troubled, "bad"),
    ]
    for show, words, trouble in _LINKS:
        count = attention.having[trouble] if trouble is not None else 0
        if count or asked.show is show:
            links.append(_link(asked, show, words, count))
    return links


def lock_row(lock: Lock, presence: Sequence[Stretch] | None, now: datetime) -> RowView:
    """One lock of the fleet; without its bar where nobody has looked its presence up."""
    connection, reading = lock.connection, lock.telemetry
    zone = zone_of(lock)
    since = None if connection.since is None else desk_moment(connection.since, zone, now)
    why = None
    if not connection.online and connection.offline_reason is not None:
        why = WHY_OFFLINE[connection.offline_reason]
    battery = None if reading is None else reading.battery
    rssi = None if reading is None else reading.rssi
    troubles = [one for one in troubles_of(lock) if one not in _SAID_BY_STATE]
    return RowView(
        id=lock.id,
        name=lock.name,
        url=lock_page_url(lock.id),
        online=connection.online,
        state=_state(lock),
        why=why,
        since=since,
        troubles=[TROUBLES[trouble] for trouble in troubles],
        battery=None if battery is None else f"{round(battery)} %",
        battery_low=reading is not None and reading.battery_is_low,
        signal=None if rssi is None else signal_words(rssi),
        firmware=connection.firmware,
        reported=None if reading is None else desk_moment(reading.received_at, zone, now),
        bar=None if presence is None else bar_view(presence),
    )


_SAID_BY_STATE = (Trouble.OFFLINE, Trouble.NEVER_ONLINE)


def signal_words(rssi: int) -> str:
    """How strong a lock's signal is."""
    word = next((word for least, word in _SIGNALS if rssi >= least), _SIGNAL_WEAKEST)
    return f"{word} ({rssi}\u00a0dBm)"


def bar_view(presence: Sequence[Stretch]) -> BarView:
    """A lock's presence as a bar from left (two days ago) to right (now)."""
    begin, end = presence[0].begin, presence[-1].end
    known = [stretch for stretch in presence if stretch.online is not None]
    offline = [stretch for stretch in known if not stretch.online]
    known_for = sum((stretch.length for stretch in known), timedelta())
    online_for = known_for - sum((stretch.length for stretch in offline), timedelta())
    what = _ALL_OF_IT if known_for == end - begin else _WHAT_IS_KNOWN
    if not offline:
        words = _ONLINE_ALL.format(what=what)
    else:
        percent = int(100 * online_for / known_for)
        times = counted(_TIMES, len(offline))
        words = _ONLINE_PART.format(percent=percent, what=what, times=times)
    unknown = [stretch for stretch in presence if stretch.online is None]
    return BarView(
        offline=_path(offline, begin, end), unknown=_path(unknown, begin, end), words=words
    )


def _path(stretches: Sequence[Stretch], begin: datetime, end: datetime) -> str:
    """Boxes side by side, each at least one unit wide."""
    boxes: list[list[int]] = []
    for stretch in stretches:
        left = int(BAR_WIDTH * ((stretch.begin - begin) / (end - begin)))
        right = max(left + 1, round(BAR_WIDTH * ((stretch.end - begin) / (end - begin))))
        if boxes and left <= boxes[-1][1]:
            boxes[-1][1] = max(right, boxes[-1][1])
        else:
            boxes.append([left, right])
    return "".join(f"M{left} 0H{right}V{BAR_HEIGHT}H{left}z" for left, right in boxes)


def _state(lock: Lock) -> str:
    if lock.connection.online:
        return "Online"
    return TROUBLES[Trouble.NEVER_ONLINE if lock.connection.since is None else Trouble.OFFLINE]


def _heading(attention: Attention) -> str:
    if attention.troubled:
        sentence = _NEED[0 if attention.troubled == 1 else 1]
        return sentence.format(n=attention.troubled, all=attention.locks)
    return _ONE_WELL if attention.locks == 1 else _ALL_WELL.format(n=attention.locks)


def _link(asked: FleetQuestion, show: Show, words: str, count: int, tone: str = "") -> Link:
    return Link(
        words=words,
        url=_url(asked, show, 1),
        count=count,
        chosen=asked.show is show,
        tone=tone if count else "",
    )


def _page_url(asked: FleetQuestion, page: int) -> str:
    return _url(asked, asked.show, page)


def _url(asked: FleetQuestion, show: Show, page: int) -> str:
    return with_query(
        FLEET_URL,
        q=asked.text,
        show=None if show is Show.ALL else show.value,
        firmware=asked.firmware,
        page=None if page == 1 else page,
    )
