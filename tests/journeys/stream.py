"""A confirmation page's server-sent events, as a browser hears them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bs4 import BeautifulSoup
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tests.house import House, Page

TIMEOUT_S = 20.0


class Stream:
    """The states that a stream tells, one after the other."""

    def __init__(self) -> None:
        self._unread = b""
        self._states: asyncio.Queue[str | None] = asyncio.Queue()

    def take(self, chunk: bytes) -> None:
        """Take some bytes of the answer's body."""
        *events, self._unread = (self._unread + chunk).split(b"\n\n")
        for event in events:
            lines = event.decode().splitlines()
            html = "\n".join(line.removeprefix("data: ") for line in lines if line[:5] == "data:")
            status = BeautifulSoup(html, "html.parser").select_one("#status")
            assert "event: state" in lines
            assert status is not None
            self._states.put_nowait(str(status["data-state"]))

    def end(self) -> None:
        """Note that the server ended the stream."""
        self._states.put_nowait(None)

    async def next(self) -> str | None:
        """The next state; None once the server has ended the stream."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self._states.get()


@asynccontextmanager
async def following(house: House, confirmation: Page) -> AsyncIterator[Stream]:
    """Follow the stream that a confirmation page names."""
    status = confirmation.html.select_one("#status")
    assert status is not None
    stream = Stream()
    http = AsyncHTTPClient(force_instance=True)
    request = HTTPRequest(
        house.url + str(status["data-stream"]), streaming_callback=stream.take, request_timeout=60
    )

    async def read() -> None:
        await http.fetch(request)
        stream.end()

    reading = asyncio.create_task(read())
    try:
        yield stream
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        http.close()
