"""Whether spans are kept, as the environment says it; without them everything else goes on."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.contextvars import clear_contextvars, get_contextvars

from server import clock, tracing

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
ROOT = Path(__file__).parents[2]
UNSENT = """
import threading
from server import tracing

with tracing.sent_as_the_environment_says("node"), tracing.entered("tap"):
    pass
print([thread.name for thread in threading.enumerate()])
"""
CARRIED = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    yield monkeypatch
    clear_contextvars()


def is_traced() -> bool:
    with tracing.entered("something"):
        return tracing.carried() is not None


def test_nothing_is_traced_where_nobody_says_where_to_send_it():
    with tracing.sent_as_the_environment_says("node"):
        assert not is_traced()


def test_what_notes_spans_goes_on_without_a_tracer():
    with tracing.entered("tap", CARRIED, clock.now(), lock=1) as note:
        note(status=303)
        with tracing.asking("claim", "mongodb"):
            tracing.passed("until sent", CARRIED, clock.now(), clock.now())
    assert tracing.carried() is None


def test_openings_are_traced_where_the_environment_says_where_to(
    environment: pytest.MonkeyPatch,
):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    environment.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with tracing.sent_as_the_environment_says("node"):
        assert is_traced()
    assert not is_traced()


def test_who_switches_opentelemetry_off_by_its_own_variable_traces_nothing(
    environment: pytest.MonkeyPatch,
):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    environment.setenv("OTEL_SDK_DISABLED", "true")
    with tracing.sent_as_the_environment_says("node"):
        assert not is_traced()
    assert "trace" not in get_contextvars()


@pytest.mark.expects_log("not_traced")
def test_the_extra_need_not_be_installed(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    environment.delitem(sys.modules, "server.opentelemetry_tracer", raising=False)
    environment.setitem(sys.modules, "opentelemetry", None)
    with tracing.sent_as_the_environment_says("node"):
        assert not is_traced()
    assert "opentelemetry" in caplog.text


@pytest.mark.expects_log("not_traced")
def test_what_cannot_be_used_of_the_environment_is_told_and_stops_nobody(
    environment: pytest.MonkeyPatch,
):
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    environment.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with tracing.sent_as_the_environment_says("node"):
        assert not is_traced()


def test_a_collector_that_never_answers_does_not_keep_a_node_from_ending():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = subprocess.run(
            [sys.executable, "-c", UNSENT],
            env={"OTEL_EXPORTER_OTLP_ENDPOINT": url},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
    assert "OtelBatchSpanRecordProcessor" in ended.stdout, "it was still trying"


def test_the_id_of_a_trace_is_read_from_what_is_carried():
    assert tracing.trace_id(CARRIED) == TRACE_ID
