"""What a log line says, and what no line ever says."""

import io
import json
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from server import logs
from server.domain.secrets import new_api_key
from server.domain.webhooks import new_signing_secret
from server.logs import redact
from server.storage.mongo import Database
from tests.house import House, command_id_of, until
from tests.journeys.bare_lock import BareLock

KEY = "6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11"

log = structlog.get_logger("tests.logs")


@contextmanager
def log_lines(log_format: str = "json") -> Iterator[io.StringIO]:
    """What would be written to standard error."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure(log_format)
    written = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    try:
        yield written
    finally:
        root.handlers = handlers
        root.setLevel(level)


def shown(written: io.StringIO) -> str:
    """What was written, as a reader of JSON sees it too."""
    return written.getvalue().replace("\\u2026", "…")


def line_of(event: str, **fields: Any) -> dict[str, Any]:
    """One line, as it is written in JSON."""
    with log_lines() as written:
        log.info(event, **fields)
    return json.loads(written.getvalue())


# What is taken out


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/temp-keys/{KEY}", "/temp-keys/…"),
        (f"/temp-keys/{KEY}/open", "/temp-keys/…/open"),
        (f"/temp-keys/{KEY}/doors/2/open", "/temp-keys/…/doors/2/open"),
        (f"/temp-keys/{KEY}/confirmation?door=1", "/temp-keys/…/confirmation?door=1"),
        (f"/collective-temp-keys/{KEY}/confirmation", "/collective-temp-keys/…/confirmation"),
        ("/temp-keys/not-even-a-uuid", "/temp-keys/…"),
        ("https://doors.example/temp-keys/abc?x=1", "https://doors.example/temp-keys/…?x=1"),
    ],
)
def test_a_guest_link_is_shown_without_its_key(path: str, shown: str):
    assert redact(path) == shown


@pytest.mark.parametrize("path", ["/temp-keys", "/temp-keys?lockId=17", "/locks/17/commands", ""])
def test_a_path_without_a_secret_is_shown_as_it_is(path: str):
    assert redact(path) == path


@pytest.mark.parametrize("written", [KEY, KEY.upper(), f"key={KEY},", f"<{KEY}>", f"x{KEY}x"])
def test_a_uuid_is_hidden_wherever_it_stands(written: str):
    assert KEY.lower() not in redact(f"before {written} after").lower()


def test_a_webhooks_secret_is_hidden():
    secret = new_signing_secret()
    assert secret.removeprefix("whsec_") not in redact(f"could not sign with {secret}.")


def test_an_api_key_is_hidden():
    secret = new_api_key()
    assert redact(f"X-API-Key: {secret}!") == "X-API-Key: …!"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_token_is_hidden(scheme: str):
    assert redact(f"Authorization: {scheme} eyJh.eyJz.c2ln-_") == f"Authorization: {scheme} …"


def test_a_json_web_token_is_hidden_wherever_it_stands():
    token = jwt.encode({"sub": "anna"}, "a secret of at least thirty-two bytes")
    assert redact(f"token={token}&x=1") == "token=…&x=1"


def test_what_is_no_secret_is_left_alone():
    assert redact("lock 17 is offline since 08:00") == "lock 17 is offline since 08:00"


@given(text=st.text())
def test_what_was_redacted_once_stays_as_it_is(text: str):
    assert redact(redact(text)) == redact(text)


uuids = st.uuids().map(str) | st.uuids().map(lambda made: str(made).upper())
around = st.text(max_size=10)


@given(secret=uuids, before=around, after=around)
def test_no_text_shows_the_uuid_in_it(secret: str, before: str, after: str):
    assert secret not in redact(before + secret + after)


fields = st.recursive(
    st.builds(lambda before, secret, after: before + secret + after, around, uuids, around)
    | st.uuids()
    | st.uuids().map(ValueError)
    | st.integers()
    | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | uuids, inner, max_size=3)
    ),
    max_leaves=6,
)


@given(value=fields, log_format=st.sampled_from(["json", "pretty"]))
def test_a_uuid_in_any_field_of_a_line_never_appears(value: Any, log_format: str):
    with log_lines(log_format) as written:
        log.warning("something", field=value)
    assert not logs._UUID.search(written.getvalue())


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_a_uuid_in_an_exception_never_appears(log_format: str):
    with log_lines(log_format) as written:
        try:
            raise ValueError(f"no such key: {KEY}")
        except ValueError:
            log.exception("something", key=KEY)
    assert "ValueError: no such key: …" in shown(written)
    assert KEY not in written.getvalue()


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_the_lines_of_libraries_are_redacted_too(log_format: str):
    with log_lines(log_format) as written:
        logging.getLogger("tornado.general").warning("GET %s from %s", f"/temp-keys/{KEY}", "you")
    assert "GET /temp-keys/… from you" in shown(written)
    assert KEY not in written.getvalue()


# What a line says


def test_a_line_says_what_happened_when_and_where():
    line = line_of("lock_online", lock=17)
    assert line["event"] == "lock_online"
    assert line["lock"] == 17
    assert line["level"] == "info"
    assert line["logger"] == "tests.logs"
    assert line["timestamp"].endswith("Z")


def test_numbers_and_lists_stay_what_they_are():
    line = line_of("something", ms=1.5, ok=True, nothing=None, seqs=[1, 2], names={"a": 1})
    assert (line["ms"], line["ok"], line["nothing"]) == (1.5, True, None)
    assert (line["seqs"], line["names"]) == ([1, 2], {"a": 1})


@given(value=st.text())
def test_whatever_is_logged_is_one_line_of_json(value: str):
    with log_lines() as written:
        log.info("something", value=value)
    assert written.getvalue().count("\n") == 1
    assert json.loads(written.getvalue())["event"] == "something"


@given(value=st.text())
def test_whatever_is_logged_is_one_line_for_people_and_steers_no_terminal(value: str):
    with log_lines("pretty") as written:
        log.info("something", value=value, values=[value], names={value: value})
        logging.getLogger("tornado.general").info("Unsupported %s", value)
    lines = written.getvalue().removesuffix("\n").split("\n")
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


def test_an_exception_is_shown_in_lines_that_steer_no_terminal():
    with log_lines("pretty") as written:
        try:
            raise ValueError("\x1b[2J\u202e")
        except ValueError:
            log.exception("something")
    lines = written.getvalue().split("\n")
    assert lines[1].startswith("Traceback")
    assert "ValueError: \\x1b[2J\\u202e" in lines
    assert all(line.isprintable() for line in lines)


def test_a_line_below_info_is_not_written():
    with log_lines() as written:
        log.debug("something")
    assert written.getvalue() == ""


async def test_the_access_line_shows_neither_the_key_nor_the_query(house: House):
    with log_lines() as written:
        await house.visit(f"/temp-keys/{KEY}/confirmation?door=1&command=c-o-m-m-a-n-d")
    [line] = [
        json.loads(line) for line in written.getvalue().splitlines() if "latchkey.access" in line
    ]
    assert (line["method"], line["status"]) == ("GET", 404)
    assert line["path"] == "/temp-keys/…/confirmation"
    assert KEY not in written.getvalue()
    assert "c-o-m-m-a-n-d" not in written.getvalue()


def lines_of(written: io.StringIO, event: str) -> list[dict[str, Any]]:
    """What was written of one kind, in order."""
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    return [line for line in lines if line["event"] == event]


async def test_each_request_has_an_id_of_its_own_which_its_caller_is_told(house: House):
    with log_lines() as written:
        answers = [await house.fetch("/health/live", X_Request_Id="of-mine") for _ in range(2)]
        answers.append(await house.fetch("/nowhere"))
    told = [answer.response.headers["X-Request-Id"] for answer in answers]
    assert [line["request"] for line in lines_of(written, "request")] == told
    assert len({*told, "of-mine"}) == 4


async def test_what_breaks_is_one_line_that_the_caller_can_name(house: House, database: Database):
    await database["tempKeys"].insert_one({"_id": KEY, "doors": "damaged"})
    with log_lines() as written:
        broken = await house.fetch(f"/temp-keys/{KEY}?asked=for")
    [line] = lines_of(written, "request_broke")
    assert (broken.status, line["level"], line["path"]) == (500, "error", "/temp-keys/…")
    assert line["request"] == broken.response.headers["X-Request-Id"]
    assert "ValidationError" in line["exception"]
    assert "asked=for" not in written.getvalue()


async def test_an_opening_ends_in_one_line_which_its_ids_join_to_all_others(house: House):
    lock = await house.lock()
    with log_lines() as written:
        async with lock.connected():
            tapped = await house.tap_open(await house.key(lock))
            await house.until_state(command_id_of(tapped), "opened")

        async def is_offline() -> bool:
            return bool(lines_of(written, "lock_offline"))

        await until(is_offline)
    [command] = lines_of(written, "command")
    [session], [online], [offline] = [
        lines_of(written, event) for event in ("session", "lock_online", "lock_offline")
    ]
    assert command["command"] == command_id_of(tapped)
    assert (command["state"], command["ms"] > 0) == ("opened", True)
    assert {line["session"] for line in (command, session, online, offline)} == {session["session"]}
    assert {line["lock"] for line in (command, session, online, offline)} == {lock.lock_id}
    assert (session["welcomed"], session["ended_by"], session["frames"] > 2) == (True, "lock", True)
    [tap] = [line for line in lines_of(written, "request") if line["status"] == 303]
    assert tap["command"] == command["command"]
    [connect] = [line for line in lines_of(written, "request") if line["status"] == 101]
    assert {connect["request"]} == {online["request"], session["request"]}


async def test_a_session_says_why_the_server_ended_it(house: House):
    device = await house.device()
    with log_lines() as written:
        async with BareLock(house.url, device).connection() as connection:
            assert await connection.closed() == 4002
        async with BareLock(house.url, device).online() as connection:
            connection.stop_reading()
            await house.until_offline(device)

        async def both_are_over() -> bool:
            return len(lines_of(written, "session")) == 2

        await until(both_are_over)
    ends = [line["ended_by"] for line in lines_of(written, "session")]
    assert ends == ["no hello in time", "silence"]


async def test_issuing_opening_and_revoking_a_key_leaves_it_out_of_the_log(house: House):
    with log_lines() as written:
        lock = await house.lock()
        key = await house.key(lock)
        tapped = await house.tap_open(key)
        await house.visit(tapped.location)
        await house.manage("DELETE", f"/temp-keys/{key.uuid}")
        await house.fetch(f"/temp-keys/{key.uuid}", X_API_Key=new_api_key())
    assert written.getvalue().count("latchkey.access") == 4
    assert key.uuid not in written.getvalue()
    assert house.api_key not in written.getvalue()


def test_a_uuid_object_is_hidden_too():
    assert line_of("something", key=uuid.UUID(KEY))["key"] == "UUID('…')"
