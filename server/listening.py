"""The HTTP server on its sockets: what a connection may cost before it has proved anything."""

import asyncio
import errno
import os
import resource
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import structlog
from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream
from tornado.netutil import bind_sockets

from server.domain.addresses import neighbourhood

log = structlog.get_logger(__name__)

_BACKLOG = 1024
_FILES_BESIDE_LOCKS = 500
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
_LOOK_AGAIN_AFTER_S = 0.02


class LimitedServer(HTTPServer):
    """Cuts connections that stay silent or do not read, and knows what is being answered.

    The headers of a connection's first request have to come within ``headers_within_s``, and
    of one address no more than ``most_silent_of_address`` may owe them. After that a
    connection may be idle for ``idle_connection_timeout``, as those of proxies are. What is
    written of an answer has to be taken off within ``read_within_s``, or at most twice that:
    it is looked at only so often.
    """

    def initialize(
        self,
        *args: Any,
        headers_within_s: float = 10.0,
        most_silent_of_address: int = 1000,
        read_within_s: float = 30.0,
        **kwargs: Any,
    ) -> None:
        super().initialize(*args, **kwargs)
        self._read_within_s = read_within_s
        self._most_silent_of_address = most_silent_of_address
        self._headers_within_s = headers_within_s
        self._silent: dict[IOStream, tuple[str, asyncio.TimerHandle]] = {}
        self._silent_of_address: Counter[str] = Counter()
        self._answering: dict[IOStream, asyncio.TimerHandle] = {}
        """What is being answered, and when it is looked at next whether that is read."""

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        """A connection was accepted."""
        place = neighbourhood(str(address[0]))
        if self._silent_of_address[place] >= self._most_silent_of_address:
            stream.close()
            return
        loop = asyncio.get_running_loop()
        self._silent[stream] = place, loop.call_later(self._headers_within_s, stream.close)
        self._silent_of_address[place] += 1
        super().handle_stream(stream, address)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Wait for the next request of a connection; the one before it was answered."""
        stream = _stream_of(server_conn)
        self._is_answered(stream)
        delegate = super().start_request(server_conn, request_conn)
        return _Request(delegate, partial(self._has_spoken, stream))

    def on_close(self, server_conn: object) -> None:
        """A connection is over, or has become a WebSocket."""
        super().on_close(server_conn)
        stream = _stream_of(server_conn)
        self._is_silent_no_more(stream)
        self._is_answered(stream)

    async def finish(self, within_s: float) -> None:
        """Answer what was asked, and then nothing more."""
        self.stop()
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + within_s
        while self._answering and loop.time() < give_up_at:
            await asyncio.sleep(_LOOK_AGAIN_AFTER_S)
        await self.close_all_connections()

    def _has_spoken(self, stream: IOStream) -> None:
        self._is_silent_no_more(stream)
        self._is_answered(stream)
        self._look_later(stream, unread=None)

    def _is_answered(self, stream: IOStream) -> None:
        if (look := self._answering.pop(stream, None)) is not None:
            look.cancel()

    def _look_later(self, stream: IOStream, unread: "asyncio.Future[None] | None") -> None:
        loop = asyncio.get_running_loop()
        look = loop.call_later(self._read_within_s, self._look_at, stream, unread)
        self._answering[stream] = look

    def _look_at(self, stream: IOStream, unread: "asyncio.Future[None] | None") -> None:
        """Cut a connection off which has not taken what was written when it was looked at last."""
        if unread is not None and not unread.done():
            stream.close()
        elif not stream.closed():
            # To write nothing is done when everything before it has been written.
            self._look_later(stream, stream.write(b""))

    def _is_silent_no_more(self, stream: IOStream) -> None:
        if stream not in self._silent:
            return
        place, deadline = self._silent.pop(stream)
        deadline.cancel()
        self._silent_of_address[place] -= 1
        if not self._silent_of_address[place]:
            del self._silent_of_address[place]


def _stream_of(server_conn: object) -> IOStream:
    return cast(HTTP1ServerConnection, server_conn).stream


class _Request(HTTPMessageDelegate):
    """Passes one request on, and tells when its headers have come."""

    def __init__(self, delegate: HTTPMessageDelegate, has_spoken: Callable[[], None]) -> None:
        self._delegate = delegate
        self._has_spoken = has_spoken

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._has_spoken()
        return self._delegate.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()


class _Listening(socket.socket):
    """A listening socket that turns connections away when there are no file descriptors left.

    Left in the queue they would wake the event loop again and again. One descriptor is kept
    in reserve, to take such a connection and close it.
    """

    _reserve: int | None = None
    _is_full = False

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection.

        Raises:
            BlockingIOError: there is none, or it was turned away.
        """
        if self._reserve is None:
            self._reserve = os.open(os.devnull, os.O_RDONLY)
        try:
            accepted = super().accept()
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                self._turn_away()
            raise BlockingIOError from error
        self._is_full = False
        return accepted

    def close(self) -> None:
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        super().close()

    def _turn_away(self) -> None:
        if not self._is_full:
            self._is_full = True
            log.error("out_of_file_descriptors")
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None
        try:
            super().accept()[0].close()
        except OSError:
            return


def listen(port: int, address: str) -> list[socket.socket]:
    """Listen; with 0 as port, on any that is free.

    Raises:
        OSError: the port or the address cannot be had.
    """
    bound = bind_sockets(port, address, backlog=_BACKLOG)
    return [_Listening(fileno=one.detach()) for one in bound]


def allow_files_for(locks: int) -> None:
    """Ask the system for enough file descriptors, and say so where it gives too few."""
    wanted = locks + _FILES_BESIDE_LOCKS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < locks + _FILES_BESIDE_LOCKS:
        log.warning("few_file_descriptors", allowed=wanted, wanted=locks + _FILES_BESIDE_LOCKS)
