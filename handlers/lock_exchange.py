"""A worked exchange: what a lock and the server say on one connection, frame by frame.

The examples of the AsyncAPI document, and the conversation in ``docs/firmware.md``.
"""

from datetime import datetime, timedelta

from handlers.asyncapi_tables import Frame
from server.domain.protocol import (
    Ack,
    Batch,
    BoltState,
    Command,
    DoorState,
    Error,
    Event,
    Hello,
    Key,
    KeyAction,
    LockEvent,
    Result,
    ResultStatus,
    Telemetry,
    Time,
    TimeRequest,
    Welcome,
)
from server.domain.times import parse_wire_time, wire_time

_BEGIN = parse_wire_time("2026-11-23T08:54:33.100Z")
_SESSION = "212d16b66a1db39e96dc552d"
_OPENED = "89a6808de46ec018c1a565a1dd9f09ed"
_REFUSED = "0f6b3b1c9d1e4f7788d2a6c5b4e39a10"
_KEY = "5c1d0e2f3a4b5968778695a4b3c2d1e0"


def _after(seconds: float) -> datetime:
    return _BEGIN + timedelta(seconds=seconds)


def _command(id: str, issued_s: float) -> Command:
    return Command(
        id=id,
        session_id=_SESSION,
        issued_at=wire_time(_after(issued_s)),
        expires_at=wire_time(_after(issued_s + 8)),
        open_for_seconds=5,
        action="open",
    )


EXCHANGE: tuple[Frame, ...] = (
    Hello(
        firmware="1.0.0",
        model="bench-1",
        epoch="k3v9c27d",
        last_seq=0,
        capabilities=["open", "keys"],
    ),
    Welcome(
        session_id=_SESSION,
        server_time=wire_time(_BEGIN),
        heartbeat_seconds=20,
        offline_after_seconds=45,
        acked_seq=0,
    ),
    # It asks for the time.
    TimeRequest(t=812.4),
    Time(t=812.4, server_time=wire_time(_after(0.003))),
    # It reports.
    Telemetry(
        seq=1,
        at=_after(0.003),
        battery=87,
        battery_voltage=5.77,
        rssi=-61,
        temperature=18.5,
        door=DoorState.CLOSED,
        bolt=BoltState.LOCKED,
    ),
    Ack(seq=1),
    Event(seq=2, at=_after(0.9), event=LockEvent.TAMPERED, detail="cover open"),
    Ack(seq=2),
    Batch(
        reports=[
            Telemetry(seq=3, at=_after(-3600), battery=88),
            Event(seq=4, at=_after(-1800), event=LockEvent.OPENED_BY_HAND),
        ]
    ),
    Ack(seq=4),
    # A guest taps.
    _command(_OPENED, 60),
    Result(command_id=_OPENED, status=ResultStatus.ACCEPTED, at=_after(60.012)),
    Result(command_id=_OPENED, status=ResultStatus.OPENED, at=_after(60.812)),
    Event(seq=5, at=_after(60.812), event=LockEvent.OPENED, command_id=_OPENED),
    Ack(seq=5),
    # A network held this one back for nine seconds.
    _command(_REFUSED, 120),
    Result(command_id=_REFUSED, status=ResultStatus.REFUSED, at=_after(129.004), reason="expired"),
    # A physical key.
    Key(
        id=_KEY, session_id=_SESSION, action=KeyAction.WRITE, key_uuid="card-7", key_index_number=3
    ),
    Result(command_id=_KEY, status=ResultStatus.ACCEPTED, at=_after(180.3)),
    # A report is missing.
    Telemetry(seq=7, at=_after(200), battery=86.9),
    Ack(seq=5),
    Error(code="gap", message="a report is missing", seq=6),
)
