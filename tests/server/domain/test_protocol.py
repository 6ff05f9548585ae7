"""The frames on the wire, held against the lock protocol's own words."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import ProtocolError
from server.domain.protocol import (
    MAX_FRAME_BYTES,
    Ack,
    Batch,
    BoltState,
    CloseCode,
    Command,
    DoorState,
    Error,
    Event,
    Hello,
    LockEvent,
    LockFrame,
    Result,
    ResultStatus,
    ServerFrame,
    Telemetry,
    Time,
    TimeRequest,
    UnknownFrame,
    Welcome,
    decode_lock_frame,
    decode_server_frame,
    encode_frame,
)
from server.domain.times import wire_time

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AT = "2026-11-23T08:00:00.000Z"

# One full example of every frame, as the protocol's tables name the fields.
FROM_LOCK: dict[str, dict[str, Any]] = {
    "hello": {
        "type": "hello",
        "firmware": "2.1.0",
        "model": "L1",
        "epoch": "e7",
        "lastSeq": 41,
        "capabilities": ["open"],
    },
    "telemetry": {
        "type": "telemetry",
        "seq": 42,
        "at": AT,
        "battery": 87.5,
        "batteryVoltage": 3.1,
        "rssi": -67,
        "temperature": 21.5,
        "door": "closed",
        "bolt": "locked",
    },
    "event": {
        "type": "event",
        "seq": 43,
        "at": AT,
        "event": "doorLeftOpen",
        "commandId": "c1",
        "detail": "for ten minutes",
    },
    "batch": {
        "type": "batch",
        "reports": [
            {"type": "telemetry", "seq": 44, "at": AT, "battery": 87.0},
            {"type": "event", "seq": 45, "at": AT, "event": "openedByHand"},
        ],
    },
    "result": {
        "type": "result",
        "commandId": "c1",
        "status": "refused",
        "at": AT,
        "reason": "jammed",
    },
    "time": {"type": "time", "t": 12.25},
}
FROM_SERVER: dict[str, dict[str, Any]] = {
    "welcome": {
        "type": "welcome",
        "sessionId": "s1",
        "serverTime": AT,
        "heartbeatSeconds": 20.0,
        "offlineAfterSeconds": 45.0,
        "ackedSeq": 41,
    },
    "command": {
        "type": "command",
        "id": "c1",
        "action": "open",
        "sessionId": "s1",
        "issuedAt": AT,
        "expiresAt": AT,
        "openForSeconds": 5.0,
    },
    "time": {"type": "time", "t": 12.25, "serverTime": AT},
    "ack": {"type": "ack", "seq": 45},
    "error": {"type": "error", "code": "gap", "message": "a report is missing", "seq": 44},
}


def from_lock(kind: str, **changes: object) -> str:
    """The example of a lock's frame, with some of its fields changed."""
    return json.dumps(FROM_LOCK[kind] | changes)


def refused(message: str | bytes) -> ProtocolError:
    """Why a lock's frame is refused."""
    with pytest.raises(ProtocolError) as refusal:
        decode_lock_frame(message)
    return refusal.value


# What goes over the wire

words = st.text(min_size=1, max_size=64)
numbers = st.integers(1, 2**53 - 1)
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001  # hypothesis wants its bounds without a zone
    datetime(9999, 12, 30),  # noqa: DTZ001 - without a zone on purpose
    timezones=zones,
).map(lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000))
wire_times = instants.map(wire_time)
finite = st.floats(allow_nan=False, allow_infinity=False)

readings = st.builds(
    Telemetry,
    seq=numbers,
    at=instants,
    battery=st.none() | st.floats(0, 100),
    battery_voltage=st.none() | st.floats(0, 100),
    rssi=st.none() | st.integers(-200, 50),
    temperature=st.none() | st.floats(-100, 150),
    door=st.none() | st.sampled_from(DoorState),
    bolt=st.none() | st.sampled_from(BoltState),
)
events = st.builds(
    Event,
    seq=numbers,
    at=instants,
    event=st.sampled_from(LockEvent),
    command_id=st.none() | words,
    detail=st.none() | st.text(max_size=500),
)
lock_frames = st.one_of(
    st.builds(
        Hello,
        firmware=words,
        model=words,
        epoch=words,
        last_seq=st.integers(0, 2**53 - 1),
        capabilities=st.lists(words, max_size=32),
    ),
    readings,
    events,
    st.builds(Batch, reports=st.lists(readings | events, min_size=1, max_size=5)),
    st.builds(
        Result,
        command_id=words,
        status=st.sampled_from(ResultStatus),
        at=instants,
        reason=st.none() | words,
    ),
    st.builds(TimeRequest, t=finite),
)
server_frames = st.one_of(
    st.builds(
        Welcome,
        session_id=words,
        server_time=wire_times,
        heartbeat_seconds=finite,
        offline_after_seconds=finite,
        acked_seq=st.integers(0, 2**53 - 1),
    ),
    st.builds(
        Command,
        id=words,
        session_id=words,
        issued_at=wire_times,
        expires_at=wire_times,
        open_for_seconds=finite,
        action=st.just("open"),
    ),
    st.builds(Time, t=finite, server_time=wire_times),
    st.builds(Ack, seq=st.integers(0, 2**53 - 1)),
    st.builds(Error, code=words, message=st.text(max_size=500), seq=st.none() | numbers),
)


@given(frame=lock_frames)
def test_every_frame_of_a_lock_is_read_as_it_was_written(frame: LockFrame):
    assert decode_lock_frame(encode_frame(frame)) == frame


@given(frame=server_frames)
def test_every_frame_of_the_server_is_read_as_it_was_written(frame: ServerFrame):
    assert decode_server_frame(encode_frame(frame)) == frame


@pytest.mark.parametrize("kind", FROM_LOCK)
def test_the_names_of_a_locks_fields_are_those_of_the_contract(kind: str):
    frame = decode_lock_frame(from_lock(kind))
    assert not isinstance(frame, UnknownFrame)
    assert json.loads(encode_frame(frame)) == FROM_LOCK[kind]


@pytest.mark.parametrize("kind", FROM_SERVER)
def test_the_names_of_the_servers_fields_are_those_of_the_contract(kind: str):
    frame = decode_server_frame(json.dumps(FROM_SERVER[kind]))
    assert not isinstance(frame, UnknownFrame)
    assert json.loads(encode_frame(frame)) == FROM_SERVER[kind]


def test_the_names_of_events_are_those_of_the_contract():
    assert set(LockEvent) == {
        "opened",
        "unlocked",
        "locked",
        "doorOpened",
        "doorClosed",
        "doorLeftOpen",
        "jammed",
        "tampered",
        "lowBattery",
        "openedByHand",
    }


def test_the_close_codes_are_those_of_the_contract():
    codes = [1001, 1003, 1009, 1012, 1013, 4000, 4001, 4002, 4003, 4008, 4009]
    assert sorted(CloseCode) == codes


@given(instant=instants)
def test_the_servers_times_have_milliseconds_and_a_z(instant: datetime):
    answer = json.loads(encode_frame(Time(t=1, server_time=wire_time(instant))))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["serverTime"])


def test_a_locks_times_are_written_with_milliseconds_and_read_with_fewer_or_more_digits():
    reading = Telemetry(seq=1, at=NOW.replace(microsecond=120_000))
    written = encode_frame(reading)
    assert "08:00:00.120Z" in written
    for digits in (".12", ".120000"):
        assert decode_lock_frame(written.replace(".120", digits)) == reading
    assert "08:00:00.120Z" in encode_frame(Batch(reports=[reading]))


def test_a_welcome_says_that_nothing_is_stored_yet():
    welcome = Welcome(
        session_id="s", server_time=AT, heartbeat_seconds=20, offline_after_seconds=45, acked_seq=0
    )
    assert json.loads(encode_frame(welcome))["ackedSeq"] == 0


def test_what_a_reading_does_not_measure_is_not_sent():
    written = json.loads(encode_frame(Telemetry(seq=1, at=NOW, battery=50)))
    assert set(written) == {"type", "seq", "at", "battery"}


# A newer lock with an older server


@pytest.mark.parametrize("kind", FROM_LOCK)
def test_fields_that_the_server_does_not_know_are_ignored(kind: str):
    newer = from_lock(kind, colour="red", nested={"type": "hello"}, list=[1, None])
    assert decode_lock_frame(newer) == decode_lock_frame(from_lock(kind))


@pytest.mark.parametrize("kind", FROM_SERVER)
def test_fields_that_the_lock_does_not_know_are_ignored(kind: str):
    newer = json.dumps(FROM_SERVER[kind] | {"colour": "red"})
    assert decode_server_frame(newer) == decode_server_frame(json.dumps(FROM_SERVER[kind]))


@pytest.mark.parametrize("kind", ["", "Hello", "selftest", "welcome", "ack"])
def test_a_type_that_the_server_does_not_know_is_told_apart_from_a_broken_frame(kind: str):
    assert decode_lock_frame(json.dumps({"type": kind, "seq": "any"})) == UnknownFrame(kind)


def test_a_type_that_the_lock_does_not_know_is_told_apart_from_a_broken_frame():
    assert decode_server_frame('{"type":"hello"}') == UnknownFrame("hello")


def test_of_an_endless_unknown_type_only_the_beginning_is_kept():
    assert decode_lock_frame(json.dumps({"type": "x" * 10_000})) == UnknownFrame("x" * 64)


# Broken frames


@pytest.mark.parametrize("message", [b"", b"\x00\xff", from_lock("hello").encode()])
def test_a_binary_frame_is_refused_with_1003(message: bytes):
    assert refused(message).close_code == 1003


def hello_of_bytes(size: int, filler: str = "x") -> str:
    """A good ``hello`` of exactly ``size`` bytes."""
    missing = size - len(from_lock("hello", padding=""))
    text = filler * (missing // len(filler.encode()))
    text += "x" * (missing - len(text.encode()))
    return json.dumps(FROM_LOCK["hello"] | {"padding": text}, ensure_ascii=False)


@pytest.mark.parametrize("filler", ["x", "é", "€", "🔑"])
def test_a_frame_of_exactly_64_kib_is_read(filler: str):
    message = hello_of_bytes(MAX_FRAME_BYTES, filler)
    assert len(message.encode()) == 65536
    assert decode_lock_frame(message) == decode_lock_frame(from_lock("hello"))


@pytest.mark.parametrize("filler", ["x", "é", "€", "🔑"])
def test_a_frame_of_one_byte_more_is_refused_with_1009(filler: str):
    assert refused(hello_of_bytes(MAX_FRAME_BYTES + 1, filler)).close_code == 1009


@pytest.mark.parametrize(
    "message",
    [
        "",
        " ",
        "{",
        "hello",
        "{'type': 'hello'}",
        '{"type":"time","t":NaN}',
        '{"type":"time","t":Infinity}',
        '{"type":"time","t":-Infinity}',
        '{"type":"time","t":1}{"type":"time","t":2}',
        '{"type":"time","t":01}',
        '{"type":"time","t":1,}',
        '{"type":"\ud800","t":1}',
        '{"type":"\\ud800","t":1}',
        "\ud800" * 20_000,
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        "\x00",
    ],
    ids=lambda message: repr(message[:30]),
)
def test_what_is_not_json_is_refused_with_4003(message: str):
    refusal = refused(message)
    assert (refusal.close_code, refusal.code) == (4003, "not_json")


@pytest.mark.parametrize("message", ["null", "1", '"hello"', "true", "[]", "[" * 30_000, "[{}]"])
def test_what_is_not_an_object_is_refused_with_4003(message: str):
    assert refused(message).close_code == 4003


@pytest.mark.parametrize("kind", [None, 1, True, [], {}, ["hello"]])
def test_a_type_that_is_no_word_is_refused_with_4003(kind: object):
    assert refused(json.dumps({"type": kind})).close_code == 4003


def test_an_object_without_a_type_is_refused_with_4003():
    assert refused("{}").close_code == 4003


def test_an_unknown_frame_that_is_nested_without_end_is_refused_with_4003():
    depth = 20_000
    nested = '{"type":"selftest","a":' + "[" * depth + "]" * depth + "}"
    assert refused(nested).close_code == 4003


NEEDED = {
    "hello": ["firmware", "model", "epoch", "lastSeq"],
    "telemetry": ["seq", "at"],
    "event": ["seq", "at", "event"],
    "batch": ["reports"],
    "result": ["commandId", "status", "at"],
    "time": ["t"],
}


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, fields in NEEDED.items() for field in fields]
)
def test_a_frame_without_a_field_that_it_needs_is_refused_with_4003(kind: str, field: str):
    fields = {name: value for name, value in FROM_LOCK[kind].items() if name != field}
    refusal = refused(json.dumps(fields))
    assert refusal.close_code == 4003
    assert field in str(refusal)


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in FROM_LOCK for field in FROM_LOCK[kind]]
)
def test_a_field_of_the_wrong_type_is_refused_with_4003(kind: str, field: str):
    assert refused(from_lock(kind, **{field: {"$ne": None}})).close_code == 4003


TOO_MUCH: list[tuple[str, str, object]] = [
    ("hello", "firmware", ""),
    ("hello", "firmware", "x" * 65),
    ("hello", "epoch", ""),
    ("hello", "lastSeq", -1),
    ("hello", "lastSeq", 2**53),
    ("hello", "capabilities", ["open"] * 33),
    ("hello", "capabilities", [""]),
    ("telemetry", "seq", 0),
    ("telemetry", "seq", -1),
    ("telemetry", "seq", 2**53),
    ("telemetry", "seq", 10**400),
    ("telemetry", "seq", 1.5),
    ("telemetry", "seq", True),
    ("telemetry", "seq", "42"),
    ("telemetry", "at", "2026-11-23T08:00:00"),
    ("telemetry", "at", "yesterday"),
    ("telemetry", "at", 1700000000),
    ("telemetry", "at", "0001-01-01T00:00:00+23:59"),
    ("telemetry", "at", "9999-12-31T23:59:59-23:59"),
    ("telemetry", "battery", -0.1),
    ("telemetry", "battery", 100.1),
    ("telemetry", "batteryVoltage", 100.1),
    ("telemetry", "rssi", 51),
    ("telemetry", "rssi", -201),
    ("telemetry", "rssi", -67.5),
    ("telemetry", "temperature", 150.1),
    ("telemetry", "door", "ajar"),
    ("telemetry", "bolt", "open"),
    ("event", "event", "exploded"),
    ("event", "commandId", "x" * 65),
    ("event", "detail", "x" * 501),
    ("event", "at", "0001-01-01T00:00:00+00:01"),
    ("batch", "reports", []),
    ("batch", "reports", [FROM_LOCK["time"]]),
    ("batch", "reports", [FROM_LOCK["batch"]]),
    ("batch", "reports", [{"type": "telemetry", "seq": 1, "at": AT}] * 501),
    ("result", "status", "done"),
    ("result", "commandId", ""),
    ("result", "reason", "x" * 65),
    ("result", "at", "9999-12-31T23:59:59.999-00:01"),
    ("time", "t", "now"),
    ("time", "t", 10**400),
]


@pytest.mark.parametrize(("kind", "field", "value"), TOO_MUCH, ids=lambda value: repr(value)[:25])
def test_a_value_beyond_its_limit_is_refused_with_4003(kind: str, field: str, value: object):
    refusal = refused(from_lock(kind, **{field: value}))
    assert refusal.close_code == 4003
    assert refusal.code == "invalid"


LIMITS: list[tuple[str, str, object]] = [
    ("hello", "firmware", "x" * 64),
    ("hello", "lastSeq", 0),
    ("hello", "lastSeq", 2**53 - 1),
    ("hello", "capabilities", ["open"] * 32),
    ("telemetry", "seq", 1),
    ("telemetry", "seq", 2**53 - 1),
    ("telemetry", "at", "0001-01-01T00:00:00Z"),
    ("telemetry", "at", "9999-12-31T23:59:59.999Z"),
    ("telemetry", "battery", 0),
    ("telemetry", "battery", 100),
    ("telemetry", "rssi", -200),
    ("event", "detail", ""),
    ("event", "detail", "x" * 500),
    ("batch", "reports", [{"type": "telemetry", "seq": 1, "at": AT}] * 500),
    ("time", "t", 2**53),
]


@pytest.mark.parametrize(("kind", "field", "value"), LIMITS, ids=lambda value: repr(value)[:25])
def test_a_value_at_its_limit_is_read(kind: str, field: str, value: object):
    assert not isinstance(decode_lock_frame(from_lock(kind, **{field: value})), UnknownFrame)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
near_frames = st.builds(
    lambda kind, changes: from_lock(kind, **changes),
    st.sampled_from(sorted(FROM_LOCK)),
    st.dictionaries(st.sampled_from(["type", "seq", "at", "reports", "t", "battery"]), json_values),
)
any_text = st.text(st.characters(), max_size=200)  # lone surrogates too


@given(message=any_text | json_values.map(json.dumps) | near_frames)
def test_no_text_whatsoever_raises_anything_but_a_protocol_error(message: str):
    for decode in (decode_lock_frame, decode_server_frame):
        code = 4003
        try:
            decode(message)
        except ProtocolError as error:
            code = error.close_code
        assert code in {1009, 4003}


@given(frame=lock_frames, place=st.floats(0, 1), junk=st.text(st.characters(), max_size=3))
def test_a_frame_that_was_damaged_on_the_way_raises_nothing_but_a_protocol_error(
    frame: LockFrame, place: float, junk: str
):
    message = encode_frame(frame)
    cut = int(place * len(message))
    for damaged in (message[:cut] + junk, message[:cut] + junk + message[cut:]):
        code = 4003
        try:
            decode_lock_frame(damaged)
        except ProtocolError as error:
            code = error.close_code
        assert code == 4003


@given(message=near_frames)
def test_what_is_told_about_a_broken_frame_fits_an_error_frame(message: str):
    try:
        decode_lock_frame(message)
    except ProtocolError as error:
        told = Error(code=error.code, message=str(error)[:500])
        assert decode_server_frame(encode_frame(told)) == told
