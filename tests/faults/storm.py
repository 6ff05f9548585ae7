"""Thousands of locks that all want to connect now: no firmware, one task and one socket each."""

import asyncio
import base64
import json
import os
from collections import Counter
from urllib.parse import urlsplit

from server.domain.protocol import SUBPROTOCOL
from tests.house import Device

_RETRY_AFTER_S = 1.0
_ANSWER_WITHIN_S = 30.0
_HELLO = {"type": "hello", "firmware": "1", "model": "storm", "epoch": "e", "lastSeq": 0}


class Storm:
    """Locks without jitter: each comes back exactly when it is told to, or after a second."""

    def __init__(self, url: str, devices: list[Device]) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 0)
        self._devices = devices
        self.welcomed = 0
        self.answers: Counter[str] = Counter()
        """How often a lock was answered what: a status, or that there was no answer."""

    async def blow(self) -> None:
        """Let all of them connect, and stay connected until this is cancelled."""
        async with asyncio.TaskGroup() as locks:
            for device in self._devices:
                locks.create_task(self._live(device))

    async def _live(self, device: Device) -> None:
        while True:
            try:
                wait_s = await self._connect(device)
            except (OSError, EOFError, TimeoutError):
                self.answers["none"] += 1
                wait_s = _RETRY_AFTER_S
            await asyncio.sleep(wait_s)

    async def _connect(self, device: Device) -> float:
        """Live one connection; how long to wait before the next."""
        async with asyncio.timeout(_ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                writer.write(self._request(device))
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            status = head.split()[1]
            self.answers[status] += 1
            if status != "101":
                told = head.lower().partition("retry-after: ")[2].split()
                return float(told[0]) if told else _RETRY_AFTER_S
            writer.write(_masked(json.dumps(_HELLO).encode()))
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await reader.readuntil(b'"type":"welcome"')
            self.welcomed += 1
            try:
                await reader.read()
            finally:
                self.welcomed -= 1
            return _RETRY_AFTER_S
        finally:
            writer.transport.abort()

    def _request(self, device: Device) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET /locks/{device.lock_id}/connect HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            f"Sec-WebSocket-Protocol: {SUBPROTOCOL}",
            f"Authorization: Bearer {device.token}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def _masked(text: bytes) -> bytes:
    assert len(text) < 126
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
