"""Keeps a lock connected: one connection after another, with the protocol's waits between."""

import asyncio
import logging
from collections.abc import Callable
from random import Random

from server.domain.protocol import CloseCode
from simulator.backoff import Ending, wait_before_retry
from simulator.connection import Connection
from simulator.lock import Lock
from simulator.notifier import Notifier
from simulator.options import LockOptions

_GOOD_AFTER_S = 30.0
"""A connection that lived this long was a good one: the backoff begins at its first step again."""

_SLOWEST_FRAME_INTERVAL_S = 1.0

_log = logging.getLogger(__name__)


class Uplink:
    """The lock's way to the server, from power-on until it is told to stay away."""

    def __init__(
        self,
        lock: Lock,
        uri: str,
        token: str,
        label: str,
        options: LockOptions,
        random: Random,
        notifier: Notifier,
    ) -> None:
        self._lock = lock
        self._label = label
        self._options = options
        self._random = random
        self._notifier = notifier
        self._new_connection: Callable[[float], Connection] = lambda frame_interval_s: Connection(
            lock, uri, token, label, notifier, options.faults, random, frame_interval_s
        )
        self._connection: Connection | None = None
        self._frame_interval_s = 0.0
        self._stopping = False
        self._is_quiet = False
        self.is_over = False
        """Whether no further attempt will be made."""
        self.last_ending: Ending | None = None
        self.closings: asyncio.Queue[int] = asyncio.Queue()
        """The close code of each connection that ended, in order."""

    @property
    def session_id(self) -> str | None:
        """The present session, or None while there is no welcomed connection."""
        if self._connection is None or self._connection.is_cut:
            return None
        return self._lock.session_id

    async def run(self) -> None:
        """Connect, and connect again, until the server or ``close`` says to stop."""
        try:
            await asyncio.sleep(self._options.offline_for_s)
            attempt = 0
            while not self._stopping:
                self._connection = self._new_connection(self._frame_interval_s)
                ending = await self._connection.run()
                self._note(ending)
                attempt = 0 if ending.lasted_s >= _GOOD_AFTER_S else attempt
                wait_s = wait_before_retry(
                    ending, attempt, self._random, self._options.reconnect_cap_s
                )
                self._tell(ending, wait_s)
                if wait_s is None or not self._options.reconnect:
                    return
                attempt += 1
                await asyncio.sleep(0 if self._stopping else wait_s)
        finally:
            self.is_over = True
            self._notifier.notify()

    async def close(self) -> None:
        """Say goodbye (1000), a second at most, and connect no more."""
        self._stopping = True
        if self._connection is not None:
            await self._connection.close()

    def cut(self) -> None:
        """Drop the present connection at once, without a goodbye."""
        if self._connection is not None:
            self._connection.cut()
            self._notifier.notify()

    def _note(self, ending: Ending) -> None:
        self.last_ending = ending
        if ending.code is not None:
            self.closings.put_nowait(ending.code)
        if ending.code == CloseCode.TOO_MANY_FRAMES:
            slower = max(0.05, self._frame_interval_s * 2)
            self._frame_interval_s = min(slower, _SLOWEST_FRAME_INTERVAL_S)
        self._notifier.notify()

    def _tell(self, ending: Ending, wait_s: float | None) -> None:
        """One line for each connection that ended, and one for each time that none can be had."""
        if self._stopping:
            return
        will = "stays away" if wait_s is None else f"tries again in {wait_s:.1f} s"
        if ending.code is not None:
            self._is_quiet = False
            _log.info("%s: lost the connection (%s), %s", self._label, ending, will)
        elif not self._is_quiet:
            self._is_quiet = True
            level = logging.WARNING if ending.http_status == 401 else logging.INFO
            _log.log(level, "%s: cannot connect (%s), %s", self._label, ending, will)
