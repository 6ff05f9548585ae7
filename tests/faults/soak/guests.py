"""Guests who open doors at random while everything around them breaks."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

from tornado.httpclient import HTTPError

from server.domain.commands import command_id, new_attempt
from tests.faults.processes import IssuedKey
from tests.house import People

_TRIES = 4
_TRY_AGAIN_AFTER_S = 0.7
_AT_ONCE = 60
_FIRST_DOOR = 1


class Guests:
    """They tap, and while they get no answer they send the same tap again, to any node."""

    def __init__(self, nodes: Sequence[People], keys: Sequence[IssuedKey]) -> None:
        self._nodes = nodes
        self._keys = keys
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self.answers: Counter[int] = Counter()
        """How many taps ended with which HTTP status; 599 stands for no answer at all."""
        self.commands: dict[str, IssuedKey] = {}
        """The command that each tap asked for, and whose key it was."""

    async def open(self, times: int, within_s: float) -> None:
        """Tap so many times, at random moments within so many seconds."""
        await asyncio.gather(*(self._come(random.uniform(0, within_s)) for _ in range(times)))

    async def _come(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        key, attempt = random.choice(self._keys), new_attempt()
        self.commands[command_id(key.uuid, _FIRST_DOOR, attempt)] = key
        async with self._gate:
            self.answers[await self._tap(key, attempt)] += 1

    async def _tap(self, key: IssuedKey, attempt: str) -> int:
        status = 599
        for _ in range(_TRIES):
            node = random.choice(self._nodes)
            try:
                status = (await node.tap_open(key, _FIRST_DOOR, attempt)).status
            except (HTTPError, OSError):
                status = 599
            if status < 500:
                break
            await asyncio.sleep(_TRY_AGAIN_AFTER_S)
        return status
