"""The lock's idea of server time: an offset to a clock that never stops.

No clock on the lock is ever set. The lock counts seconds since it booted
(``CLOCK_BOOTTIME``, which goes on while the lock sleeps) and learns from the
server how far that count is from the time of day. It asks a question, notes
when, and looks at its count again when the answer comes:

    asked at 100.0 s  --- time --->
                      <-- 08:00:00 ---  answered at 100.3 s

The server wrote 08:00:00 at some instant between the two. The lock takes that
instant to be the *first* of them, so its clock is right or a little ahead, by
0.3 s here at most. Ahead is the safe side: the lock may refuse a command a
little early, but never accepts one late. An answer that took longer than two
seconds is not believed, and the lock asks again.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

MAX_ROUND_TRIP_S = 2.0
"""An answer that took longer says too little about the time; the lock asks again."""

ASK_EVERY_S = 3600.0
"""A cheap crystal drifts a fraction of a second in an hour."""

GOOD_FOR_S = ASK_EVERY_S + 60.0
"""An offset older than this is not good enough to open a door by."""

FIRST_RETRY_S = 2.0
LAST_RETRY_S = 60.0


def boottime() -> float:
    """Seconds since the machine booted, including those it slept."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


def wall_time() -> datetime:
    """The lock's own clock of the day, which may be wrong by any amount."""
    return datetime.now(UTC)


class LockClock:
    """Keeps the offset, and knows when to ask for a new one. Does no I/O itself."""

    def __init__(
        self,
        boottime: Callable[[], float] = boottime,
        wall_time: Callable[[], datetime] = wall_time,
    ) -> None:
        self.boottime = boottime
        self._wall_time = wall_time
        self._origin: datetime | None = None  # server time when the boot count was zero
        self._taken_at = 0.0
        self._asked_at: float | None = None
        self._retry_s = FIRST_RETRY_S
        self.next_question_at = 0.0
        """When, by ``boottime``, it is time to ask (or to ask again)."""

    def start_over(self) -> None:
        """A connection begins: no answer to an earlier question can come any more."""
        self._asked_at = None
        self._retry_s = FIRST_RETRY_S

    def ask(self) -> float:
        """Note that the time is asked for now; the number to send as ``t``.

        A question that was open until now is forgotten: an answer to it, should
        it still come, is not used.
        """
        self._asked_at = self.boottime()
        self.next_question_at = self._asked_at + self._retry_s
        self._retry_s = min(self._retry_s * 2, LAST_RETRY_S)
        return self._asked_at

    def answer(self, asked_at: float | None, server_time: datetime) -> bool:
        """Take the server's time from an answer; whether it was good enough to take.

        ``asked_at`` is the ``t`` that came back, or None for a ``welcome``, which
        answers the ``hello`` of its connection.
        """
        if self._asked_at is None or (asked_at is not None and asked_at != self._asked_at):
            return False
        asked_at, self._asked_at = self._asked_at, None
        now = self.boottime()
        if now - asked_at > MAX_ROUND_TRIP_S:
            return False  # next_question_at still says when to ask again
        self._origin = server_time - timedelta(seconds=asked_at)
        self._taken_at = asked_at
        self._retry_s = FIRST_RETRY_S
        self.next_question_at = asked_at + ASK_EVERY_S
        return True

    def server_time(self) -> datetime | None:
        """The server's time, good enough to open a door by, or None.

        At most two seconds ahead of the server (and an hour's drift), never behind it.
        """
        now = self.boottime()
        if self._origin is None or now - self._taken_at > GOOD_FOR_S:
            return None
        return self._origin + timedelta(seconds=now)

    def timestamp(self) -> datetime:
        """The best idea of now, for the ``at`` of a report, in whole milliseconds.

        An old offset is better than none; without any it is the lock's own clock.
        """
        if self._origin is not None:
            now = self._origin + timedelta(seconds=self.boottime())
        else:
            now = self._wall_time()
        return now.replace(microsecond=now.microsecond // 1000 * 1000)
