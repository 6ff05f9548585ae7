"""One lock with power: it boots from its journal, lives at its door, and stays connected."""

import asyncio
import contextlib
import logging
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from server.domain.protocol import LockEvent
from simulator import clock as clocks
from simulator.door import Door
from simulator.journal import Journal
from simulator.lock import Lock
from simulator.notifier import Notifier
from simulator.options import LockOptions
from simulator.sensors import Sensors
from simulator.uplink import Uplink

_LONGEST_SLEEP_S = 30.0

_log = logging.getLogger(__name__)


class PoweredLock:
    """A lock that can be switched on and off; its journal outlives that."""

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
        name = f" ({self.options.name})" if self.options.name else ""
        return f"lock {self.lock_id}{name}"

    # On and off.

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
        await self.power_off()

    async def power_off(self) -> None:
        """Switch off without a goodbye, as in a power cut; ``start`` boots again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # What the lock knows.

    @property
    def is_welcomed(self) -> bool:
        return self.session_id is not None

    @property
    def session_id(self) -> str | None:
        """The present session, or None while there is no welcomed connection."""
        return None if self._uplink is None else self._uplink.session_id

    @property
    def lock(self) -> Lock:
        """The lock behind the socket, with its clock, door and journal.

        Raises:
            RuntimeError: it was never switched on.
        """
        if self._lock is None:
            raise RuntimeError(f"{self} was never switched on")
        return self._lock

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
        self.lock.record_reading(**self._sensors.read(door.door, door.bolt))
        if self._sensors.battery_became_low():
            self.lock.record_event(LockEvent.LOW_BATTERY)

    def _powered(self) -> Uplink:
        if self._uplink is None:
            raise RuntimeError(f"{self} was never switched on")
        return self._uplink

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._notifier.notify()
        if not task.cancelled() and task.exception() is not None:
            _log.error("%s: broke down", self, exc_info=task.exception())


def _connect_uri(url: str, lock_id: int) -> str:
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise ValueError(f"not a server's address: {url!r} (example: http://127.0.0.1:8080)")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/locks/{lock_id}/connect"
