"""What of a request is traced, and how it is found again in the log."""

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from server.domain.secrets import new_uuid
from tests.faults.processes import IssuedKey
from tests.house import House
from tests.journeys.bare_lock import BareLock
from tests.traces import Traced, context_of, traced

STRANGERS = "00-11111111111111111111111111111111-2222222222222222-01"


@pytest.fixture(autouse=True)
def seen() -> Iterator[Traced]:
    with traced() as seen:
        yield seen


def facts(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    """The lines of one kind that were written during the test."""
    lines = [record.msg for record in caplog.get_records("call")]
    return [line for line in lines if isinstance(line, dict) and line["event"] == event]


async def test_the_log_lines_of_an_opening_name_its_trace(
    house: House, seen: Traced, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    device = await house.device()
    async with BareLock(house.url, device).online() as connection:
        await house.tap_open(await house.key(device))
        command = await connection.hear("command")
        await connection.result(command["id"], "accepted")
        await connection.result(command["id"], "opened")
        await seen.until("until opened")
    tap = await seen.until("POST OpenDoor")
    trace_id = f"{context_of(tap).trace_id:032x}"
    [line] = logged(caplog, "command")
    assert (line["trace"], line["command"]) == (trace_id, command["id"])
    [line] = [line for line in logged(caplog, "request") if line["method"] == "POST"]
    assert (line["trace"], line["status"]) == (trace_id, 303)
    assert line["request"] == facts(tap)["latchkey.request"]


async def test_a_refused_tap_says_in_its_span_why(house: House, seen: Traced):
    key = IssuedKey(new_uuid())
    await house.tap_open(key)
    tap = await seen.until("POST OpenDoor")
    assert facts(tap)["error.type"] == "temp_key_not_found"
    assert tap.status.status_code is StatusCode.UNSET
    assert key.uuid not in tap.to_json()


async def test_a_bolt_that_did_not_move_is_a_fault_in_its_span(house: House, seen: Traced):
    device = await house.device()
    async with BareLock(house.url, device).online() as connection:
        key = await house.key(device)
        await house.tap_open(key)
        command = await connection.hear("command")
        await connection.result(command["id"], "failed", reason=f"of {key.uuid}")
        failed = await seen.until("until failed")
    assert failed.status.status_code is StatusCode.ERROR
    assert facts(failed)["latchkey.reason"] == "of …"


async def test_a_trace_that_a_stranger_names_is_not_gone_on_with(house: House, seen: Traced):
    await house.fetch(f"/temp-keys/{new_uuid()}/open", "POST", "", traceparent=STRANGERS)
    tap = await seen.until("POST OpenFirstDoor")
    assert tap.parent is None
    assert f"{context_of(tap).trace_id:032x}" not in STRANGERS


async def test_who_only_looks_is_not_traced(house: House, seen: Traced):
    await house.fetch("/health")
    await house.fetch(f"/temp-keys/{new_uuid()}")
    assert seen.spans == ()
