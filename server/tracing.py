"""Traces: on what the way of a request is spent, from the tap to the bolt, over all nodes.

What notes a span notes it here, as what notes a log line has its logger. Where nobody traces,
which is so until ``use`` is called, nothing is done.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Protocol

import structlog
from structlog.contextvars import bind_contextvars

log = structlog.get_logger(__name__)

Fact = str | int | None
"""A fact of a span; what is None is left out. No secret may be one, as in a log line."""

Note = Callable[..., None]
"""Adds facts, by name, to a span that is not over."""

_WHERE_TO = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class Tracer(Protocol):
    """Keeps spans. A place in a trace is carried in the words of W3C's ``traceparent``."""

    def entered(
        self, name: str, carried: str | None, began: datetime | None, **facts: Fact
    ) -> AbstractContextManager[Note]:
        """The whole of what this node does about something that came from outside."""
        ...

    def asking(self, name: str, whom: str, **facts: Fact) -> AbstractContextManager[None]:
        """A question to another part, within what was entered."""
        ...

    def passed(
        self, name: str, carried: str, began: datetime, ended: datetime, **facts: Fact
    ) -> None:
        """A stage that is over."""
        ...

    def carried(self) -> str | None:
        """The place in the trace where this task is."""
        ...

    def end(self) -> None:
        """Send what was not sent, within a few seconds."""
        ...


_tracer: Tracer | None = None


@contextmanager
def sent_as_the_environment_says(node_name: str) -> Iterator[None]:
    """Trace meanwhile, where OpenTelemetry's own variables say where spans are to be sent.

    A tracer that cannot be had is told in the log, and keeps nobody from being served.
    """
    if not any(os.environ.get(name) for name in _WHERE_TO):
        yield
        return
    try:
        # requirements-tracing.txt
        from server.opentelemetry_tracer import OpenTelemetryTracer  # noqa: PLC0415 - an extra

        tracer = OpenTelemetryTracer.to_otlp(node_name)
    except (ImportError, ValueError) as error:
        log.error("not_traced", why=str(error))  # noqa: TRY400 - it is told what to mend
        yield
        return
    try:
        with use(tracer):
            yield
    finally:
        tracer.end()


@contextmanager
def use(tracer: Tracer) -> Iterator[None]:
    """Have ``tracer`` keep the spans of this process meanwhile."""
    global _tracer  # noqa: PLW0603 - one for all, as the log is
    _tracer = tracer
    try:
        yield
    finally:
        _tracer = None


@contextmanager
def entered(
    name: str, carried: str | None = None, began: datetime | None = None, **facts: Fact
) -> Iterator[Note]:
    """A span of all that this node does about a request; it goes on with a trace, or begins one.

    Until this task ends, the trace's id is in its log lines.
    """
    if _tracer is None:
        yield _noted_nowhere
        return
    with _tracer.entered(name, carried, began, **facts) as note:
        if (place := _tracer.carried()) is not None:
            bind_contextvars(trace=trace_id(place))
        yield note


def asking(name: str, whom: str, **facts: Fact) -> AbstractContextManager[None]:
    """A span of a question to another part, ``whom``."""
    return nullcontext() if _tracer is None else _tracer.asking(name, whom, **facts)


def passed(name: str, carried: str | None, began: datetime, ended: datetime, **facts: Fact) -> None:
    """A span of what is over, in the trace that is ``carried`` with it, if there is one."""
    if _tracer is not None and carried is not None:
        _tracer.passed(name, carried, began, ended, **facts)


def carried() -> str | None:
    """The place in its trace where this task is, to go on from elsewhere or later."""
    return None if _tracer is None else _tracer.carried()


def trace_id(carried: str) -> str:
    """The id of the trace that is carried."""
    return carried.split("-")[1]


def _noted_nowhere(**_facts: Fact) -> None:
    pass
