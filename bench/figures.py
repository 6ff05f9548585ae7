"""The figures that are shown: what each is called, its unit, and whether more of it is better."""

from msgspec import Struct


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    title: str
    unit: str
    more_is_better: bool = False


FIGURES = (
    Figure(name="connect.cpu_us", title="connect: server CPU each", unit="µs"),
    Figure(name="connect.a_second", title="connects a second", unit="/s", more_is_better=True),
    Figure(name="connect.tap_p99_ms", title="tap while all connect, p99", unit="ms"),
    Figure(name="idle.kib", title="idle: memory a lock", unit="KiB"),
    Figure(name="idle.core_percent", title="idle: CPU", unit="% core"),
    Figure(name="telemetry.a_second", title="reports acknowledged", unit="/s", more_is_better=True),
    Figure(name="telemetry.cpu_us", title="report, windowed: server CPU", unit="µs"),
    Figure(name="telemetry.mongod_us", title="report, windowed: MongoDB CPU", unit="µs"),
    Figure(name="steady.cpu_us", title="report, steady: server CPU", unit="µs"),
    Figure(name="steady.ack_p50_ms", title="report, steady: ack p50", unit="ms"),
    Figure(name="steady.ack_p99_ms", title="report, steady: ack p99", unit="ms"),
    Figure(name="batch.a_second", title="after an outage: reports", unit="/s", more_is_better=True),
    Figure(name="batch.cpu_us", title="after an outage: server CPU", unit="µs"),
    Figure(name="tap.frame_p50_ms", title="tap to the frame at the lock, p50", unit="ms"),
    Figure(name="tap.frame_p99_ms", title="tap to the frame at the lock, p99", unit="ms"),
    Figure(name="tap.redirect_p50_ms", title="tap to 303, p50", unit="ms"),
    Figure(name="tap.stream_p50_ms", title="tap to open on the stream, p50", unit="ms"),
    Figure(name="open.a_second", title="openings", unit="/s", more_is_better=True),
    Figure(name="open.cpu_us", title="opening: server CPU", unit="µs"),
    Figure(name="open.mongod_us", title="opening: MongoDB CPU", unit="µs"),
    Figure(name="page.a_second", title="confirmation pages", unit="/s", more_is_better=True),
    Figure(name="page.cpu_us", title="confirmation page: server CPU", unit="µs"),
)
GROWING = (
    "connect.cpu_us",
    "idle.kib",
    "idle.core_percent",
    "steady.cpu_us",
    "telemetry.cpu_us",
    "open.cpu_us",
    "page.cpu_us",
)
"""Those that are shown by the number of locks; all but ``idle.core_percent`` should not grow."""
BY_NAME = {figure.name: figure for figure in FIGURES}
