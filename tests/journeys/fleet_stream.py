"""The fleet's server-sent events, as a program hears them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from tornado.httpclient import HTTPRequest

from tests.house import raw_answer

TIMEOUT_S = 20.0


class Heard(NamedTuple):
    """One message of a stream; a comment has no name."""

    name: str
    data: Any
    id: str | None


class FleetStream:
    """The messages of a stream, one after the other."""

    def __init__(self) -> None:
        self._unread = b""
        self._heard: asyncio.Queue[Heard | None] = asyncio.Queue()

    def take(self, chunk: bytes) -> None:
        """Take some bytes of the answer's body."""
        *messages, self._unread = (self._unread + chunk).split(b"\n\n")
        for text in messages:
            fields = dict(line.split(": ", 1) for line in text.decode().splitlines())
            data = msgspec.json.decode(fields["data"]) if "data" in fields else None
            self._heard.put_nowait(Heard(fields.get("event", ""), data, fields.get("id")))

    def end(self) -> None:
        """Note that the server ended the stream."""
        self._heard.put_nowait(None)

    async def next(self, name: str) -> Heard:
        """The next message of that name; others are passed over."""
        async with asyncio.timeout(TIMEOUT_S):
            while (heard := await self._heard.get()) is not None:
                if heard.name == name:
                    return heard
        raise AssertionError(f"the stream ended without {name}")

    async def next_event(self, kind: str) -> Heard:
        """The next event of that type; others are passed over."""
        while (heard := await self.next("event")).data["type"] != kind:
            pass
        return heard

    async def until_end(self) -> None:
        """Wait until the server ends the stream."""
        async with asyncio.timeout(TIMEOUT_S):
            while await self._heard.get() is not None:
                pass


@asynccontextmanager
async def following_fleet(
    url: str, path: str = "/stream", **headers: str
) -> AsyncIterator[FleetStream]:
    """Follow the fleet of a server at ``url``; from ``ready`` on, nothing is missed."""
    stream = FleetStream()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with raw_answer(HTTPRequest(url + path, headers=named)) as (answer, reader):
        assert answer.code == 200, answer.code

        async def read() -> None:
            while chunk := await reader.read(2**16):
                stream.take(chunk)
            stream.end()

        reading = asyncio.create_task(read())
        try:
            yield stream
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
