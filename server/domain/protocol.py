"""The frames of lock protocol version 1 (``latchkey.v1``), and their codec.

Both sides use this module: the server, and the simulator that is the
reference for firmware. It knows nothing of sockets. Frames are JSON objects
told apart by ``type``; names are camelCase on the wire and snake_case here.
"""

from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Annotated, Any, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct, structs

from server.domain.errors import ProtocolError
from server.domain.times import AwareTime, WireTime, in_utc, wire_time
from server.domain.words import printable

SUBPROTOCOL = "latchkey.v1"
MAX_FRAME_BYTES = 64 * 1024
MAX_BATCH_REPORTS = 500
REMEMBERED_COMMANDS = 64

Seq = Annotated[int, Meta(ge=1, le=2**53 - 1)]
"""The number of a report within its epoch; 2^53 - 1 is the last that every JSON reader keeps."""
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=500)]


class CloseCode(IntEnum):
    """Why the server closes a lock's connection ("Close codes" of the protocol)."""

    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    TOO_BIG = 1009
    RESTART = 1012
    TRY_AGAIN_LATER = 1013
    SUPERSEDED = 4000
    CREDENTIAL_REVOKED = 4001
    NO_HELLO = 4002
    BROKEN_FRAME = 4003
    TOO_MANY_FRAMES = 4008
    TOO_SLOW = 4009


class DoorState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class BoltState(StrEnum):
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    JAMMED = "jammed"


class LockEvent(StrEnum):
    """What a lock may say has happened at its door."""

    OPENED = "opened"
    UNLOCKED = "unlocked"
    LOCKED = "locked"
    DOOR_OPENED = "doorOpened"
    DOOR_CLOSED = "doorClosed"
    DOOR_LEFT_OPEN = "doorLeftOpen"
    JAMMED = "jammed"
    TAMPERED = "tampered"
    LOW_BATTERY = "lowBattery"
    OPENED_BY_HAND = "openedByHand"


class ResultStatus(StrEnum):
    """What a lock says became of a command: ``accepted`` first, then one of the others."""

    ACCEPTED = "accepted"
    OPENED = "opened"
    REFUSED = "refused"
    FAILED = "failed"


class _Frame(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    tag_field="type",
    omit_defaults=True,
    gc=False,
):
    """What all frames share. Unknown fields are ignored, as the protocol asks.

    None refers to anything that refers back, so the garbage collector need not look at the many
    that wait.
    """

    def _make_printable(self, *names: str) -> None:
        """What people may read in these fields is what can be shown to them."""
        for name in names:
            words: str | None = getattr(self, name)
            if words is not None:
                structs.force_setattr(self, name, printable(words))


class _DatedFrame(_Frame, frozen=True, kw_only=True):
    """What frames share that say when something was, by the lock's clock."""

    at: AwareTime

    def __post_init__(self) -> None:
        in_utc(self.at)  # or it could not be stored


# Lock to server


class Hello(_Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame of a connection, due within ten seconds."""

    firmware: Word
    model: Word
    epoch: Word
    last_seq: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    capabilities: Annotated[list[Word], Meta(max_length=32)] = []

    def __post_init__(self) -> None:
        self._make_printable("firmware", "model")


class Telemetry(_DatedFrame, frozen=True, kw_only=True, tag="telemetry"):
    """One reading: battery in %, voltage in V, signal in dBm, temperature in degrees Celsius."""

    seq: Seq
    battery: Annotated[float, Meta(ge=0, le=100)] | None = None
    battery_voltage: Annotated[float, Meta(ge=0, le=100)] | None = None
    rssi: Annotated[int, Meta(ge=-200, le=50)] | None = None
    temperature: Annotated[float, Meta(ge=-100, le=150)] | None = None
    door: DoorState | None = None
    bolt: BoltState | None = None


class Event(_DatedFrame, frozen=True, kw_only=True, tag="event"):
    """Something happened at the door."""

    seq: Seq
    event: LockEvent
    command_id: Word | None = None
    detail: Text | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._make_printable("detail")


Report = Telemetry | Event


class Batch(_Frame, frozen=True, kw_only=True, tag="batch"):
    """Reports that were buffered while the lock was offline, in order."""

    reports: Annotated[list[Report], Meta(min_length=1, max_length=MAX_BATCH_REPORTS)]


class Result(_DatedFrame, frozen=True, kw_only=True, tag="result"):
    """What became of a command."""

    command_id: Word
    status: ResultStatus
    reason: Word | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._make_printable("reason")


class TimeRequest(_Frame, frozen=True, kw_only=True, tag="time"):
    """Asks for the time; ``t`` is the lock's own number and comes back as it was."""

    t: float


LockFrame = Hello | Telemetry | Event | Batch | Result | TimeRequest

# Server to lock


class Welcome(_Frame, frozen=True, kw_only=True, tag="welcome"):
    """Answers ``hello``; everything up to ``acked_seq`` of this epoch is already stored."""

    session_id: Word
    server_time: WireTime
    heartbeat_seconds: float
    offline_after_seconds: float
    acked_seq: int


class Command(_Frame, frozen=True, kw_only=True, tag="command"):
    """Do this, now: never past ``expires_at``, never in another session than ``session_id``."""

    id: Word
    session_id: Word
    issued_at: WireTime
    expires_at: WireTime
    open_for_seconds: float
    action: str


class KeyAction(StrEnum):
    """What a lock is to do with a physical key."""

    WRITE = "write"
    REMOVE = "remove"


class Key(_Frame, frozen=True, kw_only=True, tag="key"):
    """Store a physical key, or forget it; only for locks with the capability ``keys``.

    A frame of its own, so that no lock can take it for an order to open. It is for the
    session that it names alone, and is answered by a ``result``: ``accepted`` when that is
    done, ``refused`` or ``failed`` with a reason where it cannot be.
    """

    id: Word
    session_id: Word
    action: KeyAction
    key_uuid: str
    key_index_number: int | None = None


class Time(_Frame, frozen=True, kw_only=True, tag="time"):
    """Answers ``time`` with the server's."""

    t: float
    server_time: WireTime


class Ack(_Frame, frozen=True, kw_only=True, tag="ack"):
    """Every report up to ``seq`` is durably stored; the lock may forget it."""

    seq: int


class Error(_Frame, frozen=True, kw_only=True, tag="error"):
    """What was wrong with a frame."""

    code: Word
    message: Text
    seq: int | None = None


ServerFrame = Welcome | Command | Key | Time | Ack | Error

_DATED = (_DatedFrame, Batch)


class UnknownFrame(Struct, frozen=True):
    """A well-formed frame of a type that this side does not know: answered, otherwise ignored."""

    type: str


class _Envelope(Struct):
    type: str


_lock_frames: msgspec.json.Decoder[LockFrame] = msgspec.json.Decoder(LockFrame)
_server_frames: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)
_envelopes = msgspec.json.Decoder(_Envelope)
_encoder = msgspec.json.Encoder()

LOCK_FRAMES: tuple[type[LockFrame], ...] = get_args(LockFrame)
SERVER_FRAMES: tuple[type[ServerFrame], ...] = get_args(ServerFrame)


def wire_type(kind: type[LockFrame] | type[ServerFrame]) -> str:
    """The ``type`` by which frames of this kind are told apart."""
    return str(kind.__struct_config__.tag)


_LOCK_TYPES = frozenset(map(wire_type, LOCK_FRAMES))
_SERVER_TYPES = frozenset(map(wire_type, SERVER_FRAMES))


def encode_frame(frame: LockFrame | ServerFrame) -> str:
    """Write a frame as the JSON text that goes on the wire."""
    dated = isinstance(frame, _DATED)
    return _encoder.encode(_with_wire_times(frame) if dated else frame).decode()


def _with_wire_times(frame: _DatedFrame | Batch) -> dict[str, Any]:
    """The fields of a frame, its times in milliseconds (the encoder would write microseconds)."""
    fields: dict[str, Any] = msgspec.to_builtins(frame, builtin_types=(datetime,))
    for dated in fields.get("reports", [fields]):
        dated["at"] = wire_time(dated["at"])
    return fields


def decode_lock_frame(message: str | bytes) -> LockFrame | UnknownFrame:
    """Read one frame that a lock sent.

    Raises:
        ProtocolError: a binary frame (1003), one over 64 KiB (1009), or one that
            is not JSON, not an object or breaks a stated limit (4003).
    """
    return _decode(message, _lock_frames, _LOCK_TYPES)


def decode_server_frame(message: str | bytes) -> ServerFrame | UnknownFrame:
    """Read one frame that the server sent; raises as ``decode_lock_frame`` does."""
    return _decode(message, _server_frames, _SERVER_TYPES)


FrameT = TypeVar("FrameT")


def _decode(
    message: str | bytes, decoder: "msgspec.json.Decoder[FrameT]", known: frozenset[str]
) -> FrameT | UnknownFrame:
    if isinstance(message, bytes):
        raise ProtocolError(CloseCode.UNSUPPORTED_DATA, "binary", "frames are JSON text")
    try:
        # A character takes at most four bytes: only a long text has to be measured.
        if len(message) * 4 > MAX_FRAME_BYTES and len(message.encode()) > MAX_FRAME_BYTES:
            raise ProtocolError(CloseCode.TOO_BIG, "too_big", "a frame has at most 64 KiB")
        return decoder.decode(message)
    except msgspec.ValidationError as error:
        kind = _unknown_type(message, known)
        if kind is not None:
            return UnknownFrame(kind)
        raise ProtocolError(CloseCode.BROKEN_FRAME, "invalid", str(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ProtocolError(CloseCode.BROKEN_FRAME, "not_json", "not readable as JSON") from error


def _unknown_type(message: str, known: frozenset[str]) -> str | None:
    try:
        kind = _envelopes.decode(message).type
    except (msgspec.DecodeError, RecursionError):
        return None
    return None if kind in known else kind[:64]
