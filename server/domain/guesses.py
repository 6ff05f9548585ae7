"""Guessing made slow: after so many wrong tries nothing is tried for a while.

A try is counted before it is known whether it is right, and given back when it was.
So however many come at once, no more than the allowance is ever looked at.
"""

from datetime import datetime, timedelta

from msgspec import Struct, structs

from server.domain.refusals import TooManyTries

FIRST_LOCKOUT = timedelta(minutes=1)
LONGEST_LOCKOUT = timedelta(minutes=15)
MEMORY = timedelta(hours=1)
"""For how long a wrong try counts, and after how long without a lock-out they start over.

A guesser who waits for that has fewer tries than one who sits the longest lock-outs out.
"""

_MINUTE = timedelta(minutes=1)


class Allowance(Struct, frozen=True, kw_only=True):
    """How many wrong tries within a minute, or within an hour, bring about a lock-out."""

    a_minute: int
    an_hour: int


PINS_OF_LOCK = Allowance(a_minute=5, an_hour=40)
"""The hour is for those who take care to stay just below five a minute.

It leaves room for the 35 that all the lock-outs of a first hour have between them.
"""

PINS_OF_ADDRESS = Allowance(a_minute=20, an_hour=150)
"""All the panels of a building may share one address."""

LINKS_OF_ADDRESS = Allowance(a_minute=20, an_hour=150)
"""All the guests of a hotel may share one address, and a link that was cut off."""

SIGN_INS_OF_ADDRESS = Allowance(a_minute=10, an_hour=60)
"""An API key cannot be guessed. This is for those who try what they found elsewhere."""


class Tries(Struct, frozen=True, kw_only=True, rename="camel"):
    """The wrong tries at one lock, or from one address.

    ``at`` are the instants of those of the last hour, in order; the one that fills the
    allowance begins a lock-out. ``lockouts`` counts the lock-outs that are over and not
    forgotten, ``free_since`` is when the last of them ended.
    """

    at: list[datetime] = []
    lockouts: int = 0
    free_since: datetime | None = None


def locked_until(tries: Tries, allowance: Allowance) -> datetime | None:
    """When the lock-out ends that these tries have brought about; None where they have not."""
    if not _is_full(tries, allowance):
        return None
    # The exponent is bounded, for those who are locked out for years.
    doubled = FIRST_LOCKOUT * 2 ** min(tries.lockouts, 10)
    return tries.at[-1] + min(doubled, LONGEST_LOCKOUT)


def take_try(tries: Tries, allowance: Allowance, now: datetime) -> Tries:
    """The tries with one more, at ``now``.

    Raises:
        TooManyTries: there is a lock-out; it names when to come back.
    """
    until = locked_until(tries, allowance)
    if until is not None and now < until:
        raise TooManyTries(until - now)
    if until is not None:
        tries = structs.replace(tries, lockouts=tries.lockouts + 1, free_since=until)
    if tries.free_since is not None and now - tries.free_since >= MEMORY:
        tries = structs.replace(tries, lockouts=0, free_since=None)
    # The clocks of two nodes differ a little, so the newest need not be the latest.
    counted = sorted([*(at for at in tries.at if now - at < MEMORY), now])
    return structs.replace(tries, at=counted)


def give_back(tries: Tries, at: datetime) -> Tries:
    """The tries without the one of that instant, which was right.

    Where it was the one too many, there is no lock-out any more.
    """
    if at not in tries.at:
        return tries
    kept = list(tries.at)
    kept.remove(at)
    return structs.replace(tries, at=kept)


def forgotten_at(tries: Tries, allowance: Allowance) -> datetime | None:
    """From when on these tries are the same as none; None where they are already."""
    ends = [*tries.at[-1:], tries.free_since, locked_until(tries, allowance)]
    return max((end + MEMORY for end in ends if end is not None), default=None)


def _is_full(tries: Tries, allowance: Allowance) -> bool:
    """Whether the last try has filled the allowance of its minute, or that of its hour."""
    free_since = tries.free_since
    since = [at for at in tries.at if free_since is None or at >= free_since]
    if not since:
        return False
    a_minute = [at for at in since if since[-1] - at < _MINUTE]
    an_hour = [at for at in tries.at if since[-1] - at < MEMORY]
    return len(a_minute) >= allowance.a_minute or len(an_hour) >= allowance.an_hour
