"""Connections that cost something before they have proved anything, on real sockets."""

import asyncio
import resource
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import tornado.web
from tornado.ioloop import IOLoop

from server.listening import LimitedServer, allow_files_for, listen

WITHIN_S = 20
LARGE = 32 * 1024 * 1024
ASKED = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Slow(tornado.web.RequestHandler):
    """Answers when it is told to."""

    released = asyncio.Event()
    asked = asyncio.Event()

    async def get(self) -> None:
        self.asked.set()
        await self.released.wait()
        self.finish("done")


class Large(tornado.web.RequestHandler):
    """Answers with more than the system keeps for who does not read."""

    cut = asyncio.Event()

    def get(self) -> None:
        self._auto_finish = False  # or nobody would be told of the connection's end
        self.write(bytes(LARGE))
        self.flush()

    def on_connection_close(self) -> None:
        self.cut.set()


class Endless(tornado.web.RequestHandler):
    """Says a word now and then, and goes on until it is told to end."""

    async def get(self) -> None:
        while not Slow.released.is_set():
            self.write("word ")
            await self.flush()
            await asyncio.sleep(0.02)


class Listening(NamedTuple):
    server: LimitedServer
    port: int
    writers: list[asyncio.StreamWriter]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def end(self) -> None:
        self.server.stop()
        for writer in self.writers:
            writer.transport.abort()
        await self.server.close_all_connections()


Start = Callable[..., Listening]


@pytest.fixture
def start(io_loop: IOLoop) -> Iterator[Start]:
    """A small server, listening."""
    Slow.released, Slow.asked, Large.cut = asyncio.Event(), asyncio.Event(), asyncio.Event()
    started: list[Listening] = []

    def start(**limits: float) -> Listening:
        routes = [("/", Slow), ("/large", Large), ("/endless", Endless)]
        server = LimitedServer(tornado.web.Application(routes), **limits)
        sockets = listen(0, "127.0.0.1")
        server.add_sockets(sockets)
        started.append(Listening(server, sockets[0].getsockname()[1], []))
        return started[-1]

    yield start
    for listening in started:
        io_loop.run_sync(listening.end)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends."""
    async with asyncio.timeout(WITHIN_S):
        return await reader.read()


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: te"])
async def test_a_connection_whose_first_headers_do_not_come_in_time_is_cut(
    start: Start, said: bytes
):
    reader, writer = await start(headers_within_s=0.1).connect()
    writer.write(said)
    assert await ended(reader) == b""


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length : 4\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n",
        b"X: one\r\n two\r\nHost: other\r\n",
    ],
)
async def test_what_a_proxy_may_take_for_another_request_is_answered_once_and_refused(
    start: Start, headers: bytes
):
    Slow.released.set()
    reader, writer = await start().connect()
    writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n" + headers + b"\r\n0\r\n\r\n" + ASKED)
    answered = await ended(reader)
    assert answered.startswith(b"HTTP/1.1 400")
    assert answered.count(b"HTTP/1.1") == 1


async def test_a_connection_that_has_asked_may_be_slow_to_ask_again(start: Start):
    listening = start(headers_within_s=0.1)
    Slow.released.set()
    reader, writer = await listening.connect()
    writer.write(ASKED)
    await reader.readuntil(b"done")
    silent, _ = await listening.connect()
    await ended(silent)  # one that came later, and was cut
    writer.write(ASKED)
    async with asyncio.timeout(WITHIN_S):
        assert (await reader.readuntil(b"done")).startswith(b"HTTP/1.1 200")


async def test_of_one_address_only_so_many_may_be_silent(start: Start):
    listening = start(headers_within_s=60, most_silent_of_address=2)
    Slow.released.set()
    first, first_writer = await listening.connect()
    await listening.connect()
    third, _ = await listening.connect()
    assert await ended(third) == b""
    first_writer.write(ASKED)
    await first.readuntil(b"done")
    fourth, fourth_writer = await listening.connect()
    fourth_writer.write(ASKED)
    async with asyncio.timeout(WITHIN_S):
        assert await fourth.readuntil(b"done")


async def test_what_was_asked_is_answered_before_the_server_ends(start: Start):
    listening = start()
    idle, _ = await listening.connect()
    reader, writer = await listening.connect()
    writer.write(ASKED)
    await asyncio.wait_for(Slow.asked.wait(), WITHIN_S)
    finishing = asyncio.create_task(listening.server.finish(WITHIN_S))
    Slow.released.set()
    assert (await ended(reader)).endswith(b"done")
    assert await ended(idle) == b""
    await finishing
    with pytest.raises(OSError, match="onnect"):
        await listening.connect()


async def test_a_request_that_is_not_answered_in_time_does_not_keep_the_server(start: Start):
    listening = start()
    reader, writer = await listening.connect()
    writer.write(ASKED)
    await asyncio.wait_for(Slow.asked.wait(), WITHIN_S)
    await listening.server.finish(0.05)
    assert await ended(reader) == b""


def asking_for(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


async def test_who_does_not_read_an_answer_is_cut(start: Start):
    reader, writer = await start(read_within_s=0.2).connect()
    writer.write(asking_for("/large"))
    await asyncio.wait_for(Large.cut.wait(), WITHIN_S)
    assert len(await ended(reader)) < LARGE


async def test_what_goes_on_for_long_is_not_cut_while_it_is_read(start: Start):
    reader, writer = await start(read_within_s=0.05).connect()
    writer.write(asking_for("/endless"))
    async with asyncio.timeout(WITHIN_S):
        for _ in range(20):
            await reader.readuntil(b"word ")
    Slow.released.set()
    async with asyncio.timeout(WITHIN_S):
        await reader.readuntil(b"0\r\n\r\n")


@pytest.fixture
def file_limit() -> Iterator[tuple[int, int]]:
    """The limit on file descriptors, put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_on_file_descriptors_is_raised_as_far_as_it_goes(file_limit: tuple[int, int]):
    _, hard = file_limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
    allow_files_for(locks=700)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (1200, hard)


@pytest.mark.expects_log("few_file_descriptors")
def test_too_few_file_descriptors_are_told(
    file_limit: tuple[int, int], caplog: pytest.LogCaptureFixture
):
    _, hard = file_limit
    allow_files_for(locks=hard)
    assert "few_file_descriptors" in caplog.text
