"""The page of one lock, for its operators."""

from datetime import timedelta

from msgspec import Struct

from handlers.views.chart_view import ChartView, chart_view
from handlers.views.desk_moments import desk_moment
from handlers.views.event_view import EventView, event_view
from handlers.views.fleet_view import BarView, RowView, bar_view, lock_row
from handlers.views.key_list_view import KeyRow, key_rows
from handlers.views.moments import Moment, zone_of
from server.domain.commands import CommandState, OpenCommand
from server.domain.protocol import BoltState, DoorState, Telemetry
from server.services.lock_overviews import READINGS_SHOWN, LockOverview


class CommandView(Struct, frozen=True, kw_only=True):
    """One opening: when, by whom, and what became of it."""

    at: Moment
    by: str
    outcome: str
    tone: str


class LockPageView(Struct, frozen=True, kw_only=True):
    """The page of one lock."""

    row: RowView
    bar: BarView
    facts: list[tuple[str, str]]
    charts: list[ChartView]
    commands: list[CommandView]
    events: list[EventView]
    keys: list[KeyRow]
    asked: CommandView | None
    open_url: str
    credential_url: str


_OUTCOMES: dict[CommandState, tuple[str, str]] = {
    CommandState.QUEUED: ("Waits for the lock", ""),
    CommandState.SENT: ("Sent; the lock has not answered yet", ""),
    CommandState.ACCEPTED: ("The lock has it and is opening", ""),
    CommandState.OPENED: ("Opened", "good"),
    CommandState.REFUSED: ("The lock refused", "bad"),
    CommandState.FAILED: ("Failed", "bad"),
    CommandState.EXPIRED: ("Not opened: the lock was not reached in time", "bad"),
    CommandState.UNCONFIRMED: ("Unknown: the lock did not answer", "warn"),
}
_BOLTS = {
    BoltState.LOCKED: "Locked",
    BoltState.UNLOCKED: "Unlocked",
    BoltState.JAMMED: "Jammed",
}
_DOORS = {DoorState.OPEN: "Open", DoorState.CLOSED: "Closed"}
_CHARTS = (
    ("Battery", "battery", "%"),
    ("Signal", "rssi", "dBm"),
    ("Temperature", "temperature", "°C"),
)


def lock_page_view(overview: LockOverview, asked: OpenCommand | None) -> LockPageView:
    """Everything about a lock; ``asked`` is the opening that was just asked for here."""
    lock = overview.lock
    row = lock_row(lock, None, overview.at)
    return LockPageView(
        row=row,
        bar=bar_view(overview.presence),
        facts=_facts(overview),
        charts=_charts(overview),
        commands=[command_view(command, overview) for command in overview.commands],
        events=[event_view(event, lock, overview.at) for event in overview.events],
        keys=key_rows(overview.keys, {lock.id: lock}, overview.at),
        asked=None if asked is None else command_view(asked, overview),
        open_url=f"{row.url}/open",
        credential_url=f"{row.url}/credential",
    )


def command_view(command: OpenCommand, overview: LockOverview) -> CommandView:
    """An opening in words."""
    words, tone = _OUTCOMES[command.state]
    if command.reason is not None:
        words = f"{words} ({command.reason})"
    return CommandView(
        at=desk_moment(command.requested_at, zone_of(overview.lock), overview.at, seconds=True),
        by="With a key" if command.temp_key_uuid is not None else "By an operator",
        outcome=words,
        tone=tone,
    )


def _facts(overview: LockOverview) -> list[tuple[str, str]]:
    lock, connection, reading = overview.lock, overview.lock.connection, overview.lock.telemetry
    facts: list[tuple[str, str | None]] = [
        ("Number", str(lock.id)),
        ("Serial number", lock.serial_number),
        ("Time zone", lock.time_zone),
        ("Firmware", connection.firmware),
        ("Model", connection.model),
        ("Session", connection.session_id if connection.online else None),
        ("Clock", _clock(connection.clock_skew_ms)),
        ("Stays open for", f"{lock.open_for_seconds:g} s"),
        ("Owner", lock.owner_id),
    ]
    if reading is not None:
        reported = desk_moment(reading.received_at, zone_of(lock), overview.at)
        facts += [
            ("Bolt", None if reading.bolt is None else _BOLTS[reading.bolt]),
            ("Door", None if reading.door is None else _DOORS[reading.door]),
            ("Last reading", f"{reported.relative} ({reported.text})"),
        ]
    return [(name, value) for name, value in facts if value is not None]


def _clock(skew_ms: int | None) -> str | None:
    if skew_ms is None:
        return None
    off = timedelta(milliseconds=abs(skew_ms)).total_seconds()
    if off < 1:
        return "Right"
    return f"{off:,.0f} s {'ahead' if skew_ms > 0 else 'behind'}"


def _charts(overview: LockOverview) -> list[ChartView]:
    begin = overview.at - READINGS_SHOWN
    charts: list[ChartView] = []
    for title, name, unit in _CHARTS:
        points = [
            (stored.received_at, float(value))
            for stored in reversed(overview.readings)
            if isinstance(stored.report, Telemetry)
            and (value := getattr(stored.report, name)) is not None
        ]
        chart = chart_view(title, unit, points, begin, overview.at)
        if chart is not None:
            charts.append(chart)
    return charts
