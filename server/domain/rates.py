"""How much may come within a time, and how much of it at once.

Nothing in here has a clock: whoever asks says what time it is, in seconds, by a clock that
only goes forward.
"""

from msgspec import Struct


class Rate(Struct, frozen=True, kw_only=True):
    """So many a second in the long run, and ``burst`` at once after a pause."""

    a_second: float
    burst: float


class TokenBucket:
    """Full at first; each thing that comes takes a token, and tokens grow back at the rate."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take a token; False where there is none."""
        grown = self._tokens + (now - self._filled_at) * self._rate.a_second
        # What was added beyond the burst stays until it is used, but does not grow.
        self._tokens = max(self._tokens, min(self._rate.burst, grown))
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def add(self, seconds: float) -> None:
        """Add the tokens of so many seconds, beyond the burst as well."""
        self._tokens += seconds * self._rate.a_second


class WaitingLine:
    """Tells those that cannot be served now when to come back: one after the other, at a rate."""

    def __init__(self, a_second: float, longest_s: float) -> None:
        self._step_s = 1 / a_second
        self._longest_s = longest_s
        self._promised_at = 0.0

    def wait_s(self, now: float) -> float:
        """In how many seconds the next in line should come back."""
        next_at = max(self._promised_at, now) + self._step_s
        self._promised_at = min(next_at, now + self._longest_s)
        return self._promised_at - now
