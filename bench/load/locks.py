"""A lock of the load: connects, reports, and opens at once when it is told to."""

import asyncio
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime
from time import perf_counter
from typing import cast

import msgspec

from bench.identities import device_token
from bench.load.frames import CLOSE, PING, PONG, TEXT, client_frame, server_frames

REPORTS_IN_A_BATCH = 400
"""As many as fit into a frame of 64 KiB."""
_NEVER_BEFORE = itertools.count()


class Refused(Exception):
    """The server did not let the lock in; ``retry_after_s`` is what it said, if it did."""

    def __init__(self, head: str, retry_after_s: float | None) -> None:
        super().__init__(head)
        self.retry_after_s = retry_after_s


class LostConnection(Exception):
    """The server has closed the connection of a lock."""


class Lock(asyncio.Protocol):
    """One connection of one lock; ``greeted`` is done when it was welcomed."""

    def __init__(self, lock_id: int, where: str, commanded: Callable[[int], None]) -> None:
        self.lock_id = lock_id
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seq = self.acked = 0
        self.on_ack: Callable[[Lock], None] | None = None
        self._where = where
        self._commanded = commanded
        self.is_lost = False
        self._upgraded = False
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # as uvloop does not say
        self.transport.write(
            f"GET /locks/{self.lock_id}/connect HTTP/1.1\r\nHost: {self._where}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            "Sec-WebSocket-Protocol: latchkey.v1\r\n"
            f"Authorization: Bearer {device_token(self.lock_id)}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded:
            head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._refused(head.decode())
                return
            self._upgraded = True
            self._buffer[:] = rest
            # A numbering that this server has not seen.
            epoch = f"load-{random.getrandbits(64):x}-{next(_NEVER_BEFORE)}"
            self.say(
                b'{"type":"hello","firmware":"1.0","model":"load","epoch":"%s","lastSeq":0}'
                % epoch.encode()
            )
        for opcode, payload in server_frames(self._buffer):
            self._take(opcode, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if not self.greeted.done():
            self.greeted.set_exception(LostConnection(f"before the welcome: {exc}"))

    def say(self, payload: bytes) -> None:
        """Send a text frame."""
        self.transport.write(client_frame(TEXT, payload))

    def report(self) -> None:
        """Send the next reading in a frame of its own."""
        self.say(self._reading(_now()))

    def report_batch(self, reports: int) -> None:
        """Send that many readings in batches, as after an outage."""
        at = _now()
        while reports:
            count = min(reports, REPORTS_IN_A_BATCH)
            readings = b",".join(self._reading(at) for _ in range(count))
            self.say(b'{"type":"batch","reports":[' + readings + b"]}")
            reports -= count

    def _reading(self, at: bytes) -> bytes:
        self.seq += 1
        return (
            b'{"type":"telemetry","seq":%d,"at":"%s","battery":87.5,"rssi":-61,'
            b'"temperature":21.5,"door":"closed","bolt":"locked"}' % (self.seq, at)
        )

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.transport.write(client_frame(PONG, payload))
        elif opcode == TEXT:
            frame = msgspec.json.decode(payload)
            match frame["type"]:
                case "ack":
                    self.acked = frame["seq"]
                    if self.on_ack is not None:
                        self.on_ack(self)
                case "welcome":
                    self.greeted.set_result(None)
                case "command":
                    self._commanded(self.lock_id)
                    self._open(frame["id"].encode())
        elif opcode == CLOSE:
            self.transport.close()

    def _open(self, command_id: bytes) -> None:
        result = b'{"type":"result","commandId":"%s","status":"%s","at":"%s"}'
        self.say(result % (command_id, b"accepted", _now()))
        self.say(result % (command_id, b"opened", _now()))

    def _refused(self, head: str) -> None:
        retry_after_s = None
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "retry-after":
                retry_after_s = float(value)
        self.greeted.set_exception(Refused(head, retry_after_s))
        self.transport.close()


async def connect(
    lock_id: int, host: str, port: int, commanded: Callable[[int], None]
) -> tuple[Lock, float]:
    """A lock that was welcomed, however often it had to come back, and how long the try took.

    Raises:
        Refused, LostConnection: for another reason than that the server is busy.
    """
    loop = asyncio.get_running_loop()
    while True:
        began = perf_counter()
        _, lock = await loop.create_connection(
            lambda: Lock(lock_id, f"{host}:{port}", commanded), host, port
        )
        try:
            async with asyncio.timeout(60):
                await lock.greeted
        except Refused as refused:
            if refused.retry_after_s is None:
                raise
            await asyncio.sleep(refused.retry_after_s + random.random())
        else:
            return lock, perf_counter() - began


def _now() -> bytes:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z").encode()
