"""A lock without firmware: the test writes every frame itself, good and bad ones."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from server import clock
from server.domain.protocol import SUBPROTOCOL
from server.domain.times import wire_time
from tests.house import Device

TIMEOUT_S = 20.0


class BareConnection:
    """One connection of a bare lock. Pings are answered by the library until ``stop_reading``."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.welcome: dict[str, Any] = {}

    async def say(self, type: str, **fields: object) -> None:
        """Send one frame."""
        await self.socket.send(json.dumps({"type": type, **fields}))

    def shout(self, frame: dict[str, Any], times: int) -> None:
        """Send a short frame many times at once, whether or not the server keeps up."""
        payload = json.dumps(frame).encode()
        assert len(payload) < 126
        masked_with_zeros = bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload
        self.socket.transport.write(masked_with_zeros * times)

    def shout_pings(self, times: int) -> None:
        """Send many pings at once."""
        self.socket.transport.write(bytes([0x89, 0x80, 0, 0, 0, 0]) * times)

    def shout_fragments(self, times: int) -> None:
        """Begin a message and never end it: many empty fragments at once."""
        empty = bytes([0x80, 0, 0, 0, 0])
        self.socket.transport.write(b"\x01" + empty + (b"\x00" + empty) * (times - 1))

    async def hear(self, type: str) -> dict[str, Any]:
        """The next frame of this type; others are passed over."""
        while True:
            frame = await self.next_frame()
            if frame["type"] == type:
                return frame

    async def next_frame(self) -> dict[str, Any]:
        """The next frame, whatever it is."""
        async with asyncio.timeout(TIMEOUT_S):
            return json.loads(await self.socket.recv())

    async def hello(self, epoch: str = "epoch-1", **fields: object) -> dict[str, Any]:
        """Say hello; the welcome."""
        await self.say("hello", firmware="1.0", model="bare", epoch=epoch, lastSeq=0, **fields)
        self.welcome = await self.hear("welcome")
        return self.welcome

    async def hello_or_closed(self) -> None:
        """Say hello; the server may rather close the connection."""
        with suppress(ConnectionClosed):
            await self.hello()

    async def result(self, command_id: str, status: str, **fields: object) -> None:
        """Say what became of a command."""
        at = wire_time(clock.now())
        await self.say("result", commandId=command_id, status=status, at=at, **fields)

    async def reading(self, seq: int, **values: object) -> None:
        """Send a reading."""
        await self.say("telemetry", seq=seq, at=wire_time(clock.now()), **values)

    async def still_answers(self) -> bool:
        """Whether the server still answers on this connection."""
        await self.say("time", t=1)
        return (await self.hear("time"))["t"] == 1

    async def closed(self) -> int | None:
        """Wait until the server has closed the connection; the close code."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed:
                return self.socket.close_code

    def stop_reading(self) -> None:
        """Leave what comes in the socket's buffers: pings are not answered any more."""
        self.socket.transport.pause_reading()

    def read_again(self) -> None:
        """Read what has come meanwhile."""
        self.socket.transport.resume_reading()

    def drop(self) -> None:
        """End the connection without a goodbye."""
        self.socket.transport.abort()


class BareLock:
    """Connects with a device's token, as often as the test likes."""

    def __init__(self, url: str, device: Device) -> None:
        self.lock_id = device.lock_id
        self._token = device.token
        self._uri = f"ws://{urlsplit(url).netloc}/locks/{device.lock_id}/connect"

    @asynccontextmanager
    async def connection(self, receive_buffer: int | None = None) -> AsyncIterator[BareConnection]:
        """A connection on which nothing was said yet; it is dropped at the end."""
        narrow: Any = {} if receive_buffer is None else {"sock": self._narrow(receive_buffer)}
        async with asyncio.timeout(TIMEOUT_S):
            opened = await connect(
                self._uri,
                additional_headers={"Authorization": f"Bearer {self._token}"},
                subprotocols=[Subprotocol(SUBPROTOCOL)],
                compression=None,
                proxy=None,
                ping_interval=None,
                close_timeout=1,
                **narrow,
            )
        connection = BareConnection(opened)
        try:
            yield connection
        finally:
            connection.drop()

    @asynccontextmanager
    async def online(self) -> AsyncIterator[BareConnection]:
        """A connection that was welcomed."""
        async with self.connection() as connection:
            await connection.hello()
            yield connection

    def _narrow(self, receive_buffer: int) -> socket.socket:
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        parts = urlsplit(self._uri)
        narrow.connect((socket.gethostbyname(cast(str, parts.hostname)), parts.port))
        return narrow
