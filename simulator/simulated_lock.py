"""A whole lock: flash, door, sensors and a connection that comes back.

lock = SimulatedLock(17, "http://127.0.0.1:8080", token, Path("state"))
async with lock.connected():
    await lock.report(battery=12)
    ...
assert lock.openings == ["the command's id"]
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Unpack
from urllib.parse import urlsplit

from server.domain.protocol import LockEvent, ResultStatus
from simulator import clock as clocks
from simulator.backoff import Ending
from simulator.door import Door
from simulator.journal import DoorLog, Journal
from simulator.lock import Lock
from simulator.notifier import Notifier
from simulator.options import LockOptions
from simulator.sensors import Reading, Sensors
from simulator.uplink import Uplink

DEFAULT_TIMEOUT_S = 10.0
_LONGEST_SLEEP_S = 30.0

_log = logging.getLogger(__name__)


class SimulatedLock:
    """One lock that can be switched on and off; its journal outlives that.

    All waits are bounded and raise ``TimeoutError``.
    """

    def __init__(
        self,
        lock_id: int,
        url: str,
        token: str,
        state_dir: Path,
        options: LockOptions | None = None,
    ) -> None:
        """``url`` is the server's base address; the journal is ``state_dir/lock-<id>``."""
        self.lock_id = lock_id
        self.options = options or LockOptions()
        self.directory = state_dir / f"lock-{lock_id}"
        self._uri = _connect_uri(url, lock_id)
        self._token = token
        self._notifier = Notifier()
        self._lock: Lock | None = None
        self._uplink: Uplink | None = None
        self._task: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return (
            f"lock {self.lock_id} ({self.options.name})"
            if self.options.name
            else f"lock {self.lock_id}"
        )

    # On and off.

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

    def start(self) -> None:
        """Switch on: boot from the journal and connect, in the background."""
        if self._task is not None:
            raise RuntimeError(f"{self} is on already")
        self._boot()
        self._task = asyncio.create_task(self._run(), name=str(self))
        self._task.add_done_callback(self._ended)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._powered().run())
            tasks.create_task(self._live_at_the_door())
            tasks.create_task(self._measure())

    async def disconnect(self) -> None:
        """Say goodbye (1000) and switch off; a good second at most."""
        if self._uplink is not None:
            await self._uplink.close()
        await self._switch_off()

    async def power_off(self) -> None:
        """Switch off without a goodbye, as in a power cut; ``start`` boots again."""
        await self._switch_off()

    def cut(self) -> None:
        """Drop the TCP connection at once. The lock comes back by itself (see ``reconnect``)."""
        self._powered().cut()

    # What the lock knows.

    @property
    def is_welcomed(self) -> bool:
        return self.session_id is not None

    @property
    def session_id(self) -> str | None:
        """The present session, or None while there is no welcomed connection."""
        return None if self._uplink is None else self._uplink.session_id

    @property
    def last_ending(self) -> Ending | None:
        """How the last attempt to be connected ended."""
        return None if self._uplink is None else self._uplink.last_ending

    @property
    def lock(self) -> Lock:
        """The lock behind the socket, with its clock, door and journal.

        Raises:
            RuntimeError: it was never switched on.
        """
        if self._lock is None:
            raise RuntimeError(f"{self} was never switched on")
        return self._lock

    @property
    def openings(self) -> list[str]:
        """The commands that moved the bolt, in order, from the door log."""
        return [opening.command_id for opening in DoorLog(self.directory / "door.jsonl").read()]

    def result(self, command_id: str) -> tuple[ResultStatus, str | None] | None:
        """What became of a command: status and reason, as the ring has it."""
        entry = self.lock.journal.commands.get(command_id)
        return None if entry is None else (entry.status, entry.reason)

    # What tests wait for.

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

    async def wait_acknowledged(
        self, seq: int | None = None, timeout_s: float = DEFAULT_TIMEOUT_S
    ) -> None:
        """Wait until the server has every report up to ``seq`` (by default, all so far)."""
        reports = self.lock.journal.reports
        wanted = reports.last_seq if seq is None else seq
        await self._notifier.until(lambda: reports.acked_seq >= wanted, timeout_s)

    # Inside.

    def _boot(self) -> None:
        options, random = self.options, Random(f"{self.options.seed}-{self.lock_id}")

        def wall_time() -> datetime:
            return clocks.wall_time() + timedelta(seconds=options.faults.wrong_clock_s)

        self._lock = Lock(
            Journal(self.directory, options.queue_capacity),
            clocks.LockClock(wall_time=wall_time),
            Door(options.door_times, options.jammed),
            on_change=self._notifier.notify,
            bolt_jams=lambda: random.random() < options.faults.jam,
        )
        self._sensors = Sensors(random, options.battery)
        # The waits and faults of a connection must not change what the sensors read.
        self._uplink = Uplink(
            self._lock,
            self._uri,
            self._token,
            str(self),
            options,
            Random(f"{options.seed}-{self.lock_id}-uplink"),
            self._notifier,
        )

    async def _live_at_the_door(self) -> None:
        """Let happen at the door what is due, connected or not."""
        while True:
            for happening in self.lock.tick():
                if happening.event is LockEvent.OPENED:
                    _log.info("%s: the door is open (command %s)", self, happening.command_id)
            due, sleep_s = self.lock.next_due, _LONGEST_SLEEP_S
            if due is not None:
                sleep_s = min(max(0.0, due - self.lock.clock.boottime()), sleep_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(sleep_s):
                    await self._notifier.change()

    async def _measure(self) -> None:
        """Read the sensors now and then, connected or not."""
        every_s = self.options.telemetry_every_s
        while every_s is not None:
            try:
                self._take_reading()
            except OSError as error:
                _log.error("%s: flash did not take a reading: %s", self, error)
            await asyncio.sleep(every_s)

    def _take_reading(self) -> None:
        door = self.lock.door
        self.record(**self._sensors.read(door.door, door.bolt))
        if self._sensors.battery_became_low():
            self.record_event(LockEvent.LOW_BATTERY)

    def _powered(self) -> Uplink:
        if self._uplink is None:
            raise RuntimeError(f"{self} was never switched on")
        return self._uplink

    def _is_over(self) -> bool:
        return self._task is None or self._task.done() or self._powered().is_over

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._notifier.notify()
        if not task.cancelled() and task.exception() is not None:
            _log.error("%s: broke down", self, exc_info=task.exception())

    async def _switch_off(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def _connect_uri(url: str, lock_id: int) -> str:
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ValueError(f"not a server's address: {url!r} (example: http://127.0.0.1:8080)")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/locks/{lock_id}/connect"
