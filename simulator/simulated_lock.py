"""A lock for tests to play with: to cut off, to make it say something, and to wait for.

lock = SimulatedLock(17, "http://127.0.0.1:8080", token, Path("state"))
async with lock.connected():
    await lock.report(battery=12)
    ...
assert lock.openings == ["the command's id"]
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Unpack

from server.domain.protocol import LockEvent, ResultStatus
from simulator.backoff import Ending
from simulator.journal import DoorLog
from simulator.powered_lock import PoweredLock
from simulator.sensors import Reading

DEFAULT_TIMEOUT_S = 10.0


class SimulatedLock(PoweredLock):
    """A lock, with what a test does to it and sees of it.

    All waits are bounded and raise ``TimeoutError``.
    """

    @contextlib.asynccontextmanager
    async def connected(
        self, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> AsyncIterator["SimulatedLock"]:
        """Switch on, wait for the welcome, and say goodbye at the end."""
        self.start()
        try:
            await self.wait_welcomed(timeout_s)
            yield self
        finally:
            await self.disconnect()

    def cut(self) -> None:
        """Drop the TCP connection at once. The lock comes back by itself (see ``reconnect``)."""
        self._powered().cut()

    # What it has done.

    @property
    def openings(self) -> list[str]:
        """The commands that moved the bolt, in order, from the door log."""
        return [opening.command_id for opening in DoorLog(self.directory / "door.jsonl").read()]

    def result(self, command_id: str) -> tuple[ResultStatus, str | None] | None:
        """What became of a command: status and reason, as the ring has it."""
        entry = self.lock.journal.commands.get(command_id)
        return None if entry is None else (entry.status, entry.reason)

    @property
    def last_ending(self) -> Ending | None:
        """How the last attempt to be connected ended."""
        return None if self._uplink is None else self._uplink.last_ending

    # What the lock says.

    def record(self, **values: Unpack[Reading]) -> int:
        """Store a reading to be sent when there is a connection; its number."""
        return self.lock.record_reading(**values)

    def record_event(self, event: LockEvent, detail: str | None = None) -> int:
        """Store an event to be sent when there is a connection; its number."""
        return self.lock.record_event(event, detail=detail)

    async def report(self, timeout_s: float = DEFAULT_TIMEOUT_S, **values: Unpack[Reading]) -> int:
        """Store a reading, send it, and wait until it is acknowledged; its number."""
        seq = self.record(**values)
        await self.wait_acknowledged(seq, timeout_s)
        return seq

    # What there is to wait for.

    async def wait_welcomed(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> str:
        """Wait for a welcomed connection; its session id.

        Raises:
            TimeoutError: there is none in time; the message says how the last attempt ended.
            ConnectionError: there will be none, for the server said to stay away.
        """
        try:
            await self._notifier.until(lambda: self.is_welcomed or self._is_over(), timeout_s)
        except TimeoutError:
            raise TimeoutError(f"{self} was not welcomed: {self.last_ending}") from None
        if self.session_id is None:
            raise ConnectionError(f"{self} stays away: {self.last_ending}")
        return self.session_id

    async def wait_closed(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """Wait for the end of a connection; its close code (1006: no goodbye).

        Each end is told once, in order, also when it came before this call.
        """
        async with asyncio.timeout(timeout_s):
            return await self._powered().closings.get()

    async def wait_refused(self, timeout_s: float = DEFAULT_TIMEOUT_S) -> int:
        """Wait until the server has refused the upgrade; the HTTP status."""

        def status() -> int | None:
            return None if self.last_ending is None else self.last_ending.http_status

        return await self._notifier.until(status, timeout_s)

    async def wait_result(
        self, command_id: str, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> tuple[ResultStatus, str | None]:
        """Wait until a command has its final result on this lock; status and reason."""

        def final_result() -> tuple[ResultStatus, str | None] | None:
            result = self.result(command_id)
            return None if result is None or result[0] is ResultStatus.ACCEPTED else result

        return await self._notifier.until(final_result, timeout_s)

    async def wait_acknowledged(
        self, seq: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Wait until the server has every report up to ``seq`` (by default, all so far)."""
        reports = self.lock.journal.reports
        wanted = reports.last_seq if seq is None else seq
        await self._notifier.until(lambda: reports.acked_seq >= wanted, timeout_s)

    def _is_over(self) -> bool:
        return self._task is None or self._task.done() or self._powered().is_over
