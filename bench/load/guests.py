"""A guest of the load: one HTTP connection that asks one thing after the other."""

import asyncio
from typing import NamedTuple


class Answer(NamedTuple):
    """An answer: its status, its head in lower-case names, and its body."""

    status: int
    headers: dict[str, str]
    body: bytes


class Guest:
    """A connection that is kept."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._where = f"{host}:{port}"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> Answer:
        """Open a page as a browser does."""
        await self._ask(f"GET {path}", b"")
        return await self._answer()

    async def tap(self, key: str, attempt: str) -> Answer:
        """Tap Open on the page of a key."""
        body = f"attempt={attempt}&confirmed=1".encode()
        await self._ask(f"POST /temp-keys/{key}/doors/1/open", body)
        return await self._answer()

    async def until_streamed(self, path: str, words: bytes) -> None:
        """Follow a stream until it has said some words."""
        await self._ask(f"GET {path}", b"")
        reader, _ = await self._connected()
        await reader.readuntil(words)
        self.leave()  # whatever else it says

    def leave(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams

    async def _ask(self, what: str, body: bytes) -> None:
        _, writer = await self._connected()
        lines = [
            f"{what} HTTP/1.1",
            f"Host: {self._where}",
            "Accept: text/html,application/xhtml+xml,*/*;q=0.8",
            "Accept-Language: en",
        ]
        if body:
            lines += [
                "Content-Type: application/x-www-form-urlencoded",
                f"Content-Length: {len(body)}",
            ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    async def _answer(self) -> Answer:
        reader, _ = await self._connected()
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            body = await self._chunks(reader)
        else:
            body = b""
        if headers.get("connection", "").lower() == "close":
            self.leave()
        return Answer(int(head[0].split()[1]), headers, body)

    @staticmethod
    async def _chunks(reader: asyncio.StreamReader) -> bytes:
        body = b""
        while length := int(await reader.readline(), 16):
            body += await reader.readexactly(length)
            await reader.readline()
        await reader.readline()
        return body
