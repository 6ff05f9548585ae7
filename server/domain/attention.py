"""What is the matter with a lock: what an operator should look at before guests find out."""

from enum import StrEnum

from msgspec import Struct

from server.domain.locks import Lock
from server.domain.protocol import BoltState

LARGEST_SKEW_MS = 60_000
"""A lock whose clock is off by more writes times into its readings that nobody can use."""


class Trouble(StrEnum):
    """Something that is the matter with a lock; the worst for guests first."""

    OFFLINE = "offline"
    JAMMED = "jammed"
    BATTERY_LOW = "batteryLow"
    CLOCK_SKEWED = "clockSkewed"
    NEVER_ONLINE = "neverOnline"


_ORDER = tuple(Trouble)


class Attention(Struct, frozen=True, kw_only=True):
    """How many locks of a fleet there are, and how many have which trouble."""

    locks: int
    troubled: int
    having: dict[Trouble, int]


def troubles_of(lock: Lock) -> list[Trouble]:
    """What is the matter with a lock, the worst first; nothing, where all is well."""
    connection, reading = lock.connection, lock.telemetry
    skew_ms = connection.clock_skew_ms
    found = {
        Trouble.OFFLINE: not connection.online and connection.since is not None,
        Trouble.JAMMED: reading is not None and reading.bolt is BoltState.JAMMED,
        Trouble.BATTERY_LOW: reading is not None and reading.battery_is_low,
        Trouble.CLOCK_SKEWED: skew_ms is not None and abs(skew_ms) > LARGEST_SKEW_MS,
        Trouble.NEVER_ONLINE: not connection.online and connection.since is None,
    }
    return [trouble for trouble, is_there in found.items() if is_there]


def worst_first(lock: Lock) -> tuple[int, float, str, int]:
    """Where a lock stands in a list of what needs attention.

    By its worst trouble; of those with the same, the one whose connection changed last: what
    has just broken is news, and what has been off since spring is known.
    """
    troubles = troubles_of(lock)
    rank = _ORDER.index(troubles[0]) if troubles else len(_ORDER)
    since = lock.connection.since
    changed = 0.0 if since is None or not troubles else -since.timestamp()
    return rank, changed, lock.name.casefold(), lock.id


def attention_of(troubles: list[list[Trouble]]) -> Attention:
    """What a fleet needs, from what is the matter with each of its locks."""
    having = {trouble: sum(trouble in one for one in troubles) for trouble in Trouble}
    return Attention(
        locks=len(troubles), troubled=sum(bool(one) for one in troubles), having=having
    )
