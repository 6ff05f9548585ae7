"""How many locks may connect to this node, and how fast: decided before anything is looked up."""

import asyncio
import secrets
from collections import Counter
from datetime import timedelta

from msgspec import Struct

from server.domain.addresses import neighbourhood
from server.domain.errors import Overloaded
from server.domain.rates import Rate, TokenBucket, WaitingLine
from server.services.metrics import Metrics

_LEAST_NEW = 4
_LONGEST_WAIT_S = 60.0
_WAIT_FOR_ANOTHER_NODE_S = 5.0
_random = secrets.SystemRandom()


class AdmissionLimits(Struct, frozen=True, kw_only=True):
    """How many locks at most are connected, and how many connect in a second."""

    most_locks: int
    connects_a_second: int


class Admission:
    """Counts the connections of locks from the request to the end.

    A connection is *new* until its lock was welcomed. There may be as many new ones as may
    connect in a second, half of them from one address: none can keep the others out.
    """

    def __init__(self, limits: AdmissionLimits, metrics: Metrics) -> None:
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        a_second = limits.connects_a_second
        self._most = limits.most_locks
        self._most_new = max(_LEAST_NEW, a_second)
        rate = Rate(a_second=a_second, burst=a_second)
        self._pace = TokenBucket(rate, self._loop.time())
        self._line = WaitingLine(a_second, _LONGEST_WAIT_S)
        self._step_s = 1 / a_second
        self._connected = 0
        self._new: Counter[str] = Counter()
        self._draining = False

    def begin_drain(self) -> None:
        """From now on let nobody in."""
        self._draining = True

    def enter(self, address: str) -> "Admitted":
        """Let a connection from an address in; whatever becomes of it, it has to leave.

        Raises:
            Overloaded: not now; it says when to come back, to each another time.
        """
        now = self._loop.time()
        if self._draining:
            raise self._refusal("draining", _WAIT_FOR_ANOTHER_NODE_S)
        if self._connected >= self._most:
            raise self._refusal("full", _LONGEST_WAIT_S)
        place = neighbourhood(address)
        is_crowded = self._new.total() >= self._most_new or self._new[place] >= self._most_new // 2
        if is_crowded or not self._pace.take(now):
            raise self._refusal("pace", self._line.wait_s(now))
        self._connected += 1
        self._new[place] += 1
        return Admitted(self, place)

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return self._connected

    def _refusal(self, why: str, wait_s: float) -> Overloaded:
        self._metrics.connect_refused(why)
        return _come_back_in(wait_s)

    def greeted(self, place: str) -> None:
        """A connection from that place is not new any more."""
        self._new[place] -= 1
        if not self._new[place]:
            del self._new[place]

    def left(self, was_refused: bool) -> None:
        """A connection is gone; one that was refused has taken nobody's turn."""
        self._connected -= 1
        if was_refused:
            self._pace.add(self._step_s)


class Admitted:
    """One connection of a lock; all of these may be called more than once."""

    def __init__(self, admission: Admission, place: str) -> None:
        self._admission = admission
        self._place = place
        self._is_new = True
        self._has_left = False

    def greeted(self) -> None:
        """Its lock was welcomed."""
        if self._is_new:
            self._is_new = False
            self._admission.greeted(self._place)

    def left(self, was_refused: bool = False) -> None:
        """It is over, or never was one: its lock was refused."""
        self.greeted()
        if not self._has_left:
            self._has_left = True
            self._admission.left(was_refused)


def _come_back_in(wait_s: float) -> Overloaded:
    """A time to come back at, which differs for those that are turned away together."""
    return Overloaded(timedelta(seconds=wait_s + _random.uniform(0, 1 + wait_s / 2)))
