"""Spans kept by OpenTelemetry, and sent over OTLP/HTTP: an extra, see requirements-tracing.txt."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Self

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from server import __version__
from server.domain.commands import CommandState
from server.domain.errors import LatchkeyError, LockUnreachable, StorageUnavailable
from server.logs import redact
from server.tracing import Fact, Note

_SENT_WITHIN_S = 2.0
_FAULTS = {CommandState.FAILED, CommandState.UNCONFIRMED}
_words = TraceContextTextMapPropagator()


class OpenTelemetryTracer:
    """Keeps spans for ``processor``; see ``server.tracing.Tracer``.

    How much is kept (``OTEL_TRACES_SAMPLER``) and what the node is called (``OTEL_SERVICE_NAME``,
    ``OTEL_RESOURCE_ATTRIBUTES``) the environment may say. Spans have names and facts that the
    code knows, and no exception's text; what a lock may have put in is redacted like a log line.
    """

    def __init__(self, processor: SpanProcessor, node_name: str) -> None:
        ours = Resource.create(
            {
                "service.name": "latchkey",
                "service.version": __version__,
                "service.instance.id": node_name,
            }
        )
        self._provider = TracerProvider(
            resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("latchkey", __version__)

    @classmethod
    def to_otlp(cls, node_name: str) -> Self:
        """One that sends to where the environment says, from a thread of its own.

        Raises:
            ValueError: the environment says something that cannot be used.
        """
        return cls(BatchSpanProcessor(OTLPSpanExporter()), node_name)

    @contextmanager
    def entered(
        self, name: str, carried: str | None, began: datetime | None, **facts: Fact
    ) -> Iterator[Note]:
        """The whole of what this node does about something that came from outside."""
        span = self._tracer.start_span(
            name,
            context=_from(carried),
            kind=SpanKind.SERVER,
            attributes=_attributes(facts),
            start_time=None if began is None else _nanoseconds(began),
        )

        def note(**facts: Fact) -> None:
            span.set_attributes(_attributes(facts))

        with _current(span):
            yield note

    @contextmanager
    def asking(self, name: str, whom: str, **facts: Fact) -> Iterator[None]:
        """A question to another part, within what was entered."""
        attributes = {"peer.service": whom, **_attributes(facts)}
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        with _current(span):
            yield

    def passed(
        self, name: str, carried: str, began: datetime, ended: datetime, **facts: Fact
    ) -> None:
        """A stage that is over."""
        span = self._tracer.start_span(
            name,
            context=_from(carried),
            attributes=_attributes(facts),
            start_time=_nanoseconds(began),
        )
        if facts.get("state") in _FAULTS:
            span.set_status(Status(StatusCode.ERROR))
        span.end(_nanoseconds(ended))

    def carried(self) -> str | None:
        """The place in the trace where this task is."""
        words: dict[str, str] = {}
        _words.inject(words)
        return words.get("traceparent")

    def end(self) -> None:
        """Send what was not sent, within a few seconds."""
        # The library's own limit is half a minute.
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_SENT_WITHIN_S)


def _from(carried: str | None) -> Context:
    """Where a span stands that goes on with what is carried; at a beginning, where that is none."""
    return _words.extract({} if carried is None else {"traceparent": carried}, Context())


@contextmanager
def _current(span: trace.Span) -> Iterator[None]:
    """Have this task be in ``span`` until that ends; an error is told by the word for it."""
    with trace.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        try:
            yield
        except LatchkeyError as error:
            span.set_attribute("error.type", error.reason)
            if isinstance(error, StorageUnavailable | LockUnreachable):
                span.set_status(Status(StatusCode.ERROR))
            raise
        except Exception as error:
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(Status(StatusCode.ERROR))
            raise


def _attributes(facts: Mapping[str, Fact]) -> dict[str, str | int]:
    """Facts as attributes: under our own name, where they have none of OpenTelemetry's."""
    return {
        name if "." in name else f"latchkey.{name}": redact(value)
        if isinstance(value, str)
        else value
        for name, value in facts.items()
        if value is not None
    }


def _nanoseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1_000_000) * 1000
