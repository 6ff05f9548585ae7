"""A partner's receiver of webhooks, on a real socket: it keeps what it got and answers as told."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
from standardwebhooks import Webhook as Verifier
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, HTTPServerRequest, ResponseStartLine
from tornado.netutil import bind_sockets

from tests.house import until


class Received(NamedTuple):
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The envelope."""
        return msgspec.json.decode(self.body)

    @property
    def data(self) -> dict[str, Any]:
        """The event itself."""
        return self.event["detail"]["data"]

    def verify(self, secret: str) -> None:
        """Check the signature as a partner does.

        Raises:
            WebhookVerificationError: it is not good.
        """
        Verifier(secret).verify(self.body, self.headers)


Answer = Callable[[Received], Awaitable[int]]
"""The status that answers a request; 0 cuts the connection."""


async def taken(_: Received) -> int:
    """Every event is taken."""
    return 204


class Receiver:
    """Listens on a port of its own until ``close``."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.answer: Answer = taken
        self.words = b""
        self.headers: dict[str, str] = {}
        self.under_way: list[str] = []
        self.met: list[str] = []
        """Events that came in while they were under way already."""
        [socket] = bind_sockets(0, "127.0.0.1")
        self.port = socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._answering: set[asyncio.Task[None]] = set()
        self._server = HTTPServer(self._handle, ssl_options=tls)
        self._server.add_socket(socket)

    async def close(self) -> None:
        """Stop listening."""
        self._server.stop()
        await self._server.close_all_connections()
        for task in self._answering:
            task.cancel()

    def _handle(self, request: HTTPServerRequest) -> None:
        task = asyncio.create_task(self._respond(request))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _respond(self, request: HTTPServerRequest) -> None:
        headers = {name.lower(): value for name, value in request.headers.get_all()}
        got = Received(request.path, headers, request.body)
        self.received.append(got)
        with self._counted(f"{got.path} {got.event['id']}"):
            status = await self.answer(got)
        connection = request.connection
        assert connection is not None
        if not status:
            connection.stream.close()  # type: ignore[attr-defined]  # of HTTP/1, which it is
            return
        answer = HTTPHeaders({"Content-Length": str(len(self.words)), **self.headers})
        await connection.write_headers(ResponseStartLine("HTTP/1.1", status, "Said"), answer)
        await connection.write(self.words)
        connection.finish()

    @contextmanager
    def _counted(self, event_id: str) -> Iterator[None]:
        if event_id in self.under_way:
            self.met.append(event_id)
        self.under_way.append(event_id)
        try:
            yield
        finally:
            self.under_way.remove(event_id)

    def of_type(self, event_type: str) -> list[Received]:
        """What came in of one type, in order."""
        return [got for got in self.received if got.event["detail-type"] == event_type]

    async def until_received(self, event_type: str, count: int = 1) -> list[Received]:
        """Wait until so many of one type came in; all of them."""

        async def look() -> list[Received] | None:
            found = self.of_type(event_type)
            return found if len(found) >= count else None

        return await until(look)
