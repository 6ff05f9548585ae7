"""Spans as they are kept in memory or received over OTLP, to be looked at by tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.netutil import bind_sockets

from server import tracing
from server.opentelemetry_tracer import OpenTelemetryTracer
from tests.house import until


class Traced:
    """The spans of this process, each with the names of all that it stands in."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Those that are over."""
        return self._exporter.get_finished_spans()

    async def until(self, name: str) -> ReadableSpan:
        """Wait until a span of that name is over; the first."""

        async def look() -> ReadableSpan | None:
            return next((span for span in self.spans if span.name == name), None)

        return await until(look)

    def path(self, span: ReadableSpan) -> list[str]:
        """The names from the root of its trace to a span."""
        ids = {context_of(each).span_id: each for each in self.spans}
        names = [span.name]
        while span.parent is not None:
            span = ids[span.parent.span_id]
            names.insert(0, span.name)
        return names


def context_of(span: ReadableSpan) -> SpanContext:
    """Which span of which trace it is."""
    context = span.context
    assert context is not None
    return context


@contextmanager
def traced() -> Iterator[Traced]:
    """Keep all spans in memory meanwhile."""
    exporter = InMemorySpanExporter()
    with tracing.use(OpenTelemetryTracer(SimpleSpanProcessor(exporter), "test")):
        yield Traced(exporter)


class Collector:
    """Takes spans over OTLP/HTTP on a port of its own, until ``close``."""

    def __init__(self) -> None:
        [socket] = bind_sockets(0, "127.0.0.1")
        self.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        self.words = b""
        """All that came in, as it came."""
        self.spans: list[Span] = []
        self._server = HTTPServer(self._take)
        self._server.add_socket(socket)

    async def close(self) -> None:
        """Stop listening."""
        self._server.stop()
        await self._server.close_all_connections()

    def _take(self, request: HTTPServerRequest) -> None:
        assert request.path == "/v1/traces"
        self.words += request.body
        sent = ExportTraceServiceRequest.FromString(request.body)
        for resource in sent.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        connection = request.connection
        assert connection is not None
        connection.write_headers(
            ResponseStartLine("HTTP/1.1", 200, "OK"), HTTPHeaders({"Content-Length": "0"})
        )
        connection.finish()
