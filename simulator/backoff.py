"""When to connect again, after each way in which a connection can end.

This is the protocol's table of close codes as one function, without a clock
or a socket. "Full jitter" means a wait drawn evenly from zero to the limit: a
thousand locks that lost the same server must not come back at the same instant.
"""

import re
from dataclasses import dataclass
from random import Random

from server.domain.protocol import CloseCode

FIRST_LIMIT_S = 1.0
CAP_S = 60.0
RESTART_JITTER_S = 30.0
AFTER_SUPERSEDED_S = (300.0, 600.0)
LONGEST_NAMED_S = 600.0
"""A server that asks for more than ten minutes of silence is not taken at its word."""


@dataclass(frozen=True)
class Ending:
    """How one attempt to be connected ended."""

    code: int | None = None
    """The close code; 1006 where the connection just broke; None where there never was one."""
    reason: str = ""
    http_status: int | None = None
    """The status that refused the upgrade."""
    retry_after: str = ""
    """The ``Retry-After`` header of that refusal."""
    lasted_s: float = 0.0
    """How long the connection lived after its welcome; 0 if it never got one."""

    def __str__(self) -> str:
        if self.http_status is not None:
            return f"HTTP {self.http_status}"
        if self.code is None:
            return self.reason or "not tried yet"
        return f"{self.code} {self.reason}".rstrip()


def wait_before_retry(
    ending: Ending, attempt: int, random: Random, cap_s: float = CAP_S
) -> float | None:
    """Seconds to wait before connecting again; None means never, on its own.

    ``attempt`` counts the failures in a row, from 0. ``cap_s`` bounds every
    wait that the server did not name itself; tests make it short.
    """
    if ending.code == CloseCode.CREDENTIAL_REVOKED:
        return None
    if ending.code == CloseCode.SUPERSEDED:
        # Whoever took over may be a connection of this lock that died on its way: a lock that
        # stayed away for good would never open again.
        return random.uniform(*AFTER_SUPERSEDED_S)
    if ending.code in (CloseCode.GOING_AWAY, CloseCode.RESTART):
        return random.uniform(0, min(RESTART_JITTER_S, cap_s))
    named_s = _named_wait(ending)
    if named_s is not None:
        return named_s + random.uniform(0, min(max(1.0, named_s / 2), cap_s))
    if ending.http_status in (401, 403):
        # The credential will not get better by asking often, yet it may be issued anew.
        return random.uniform(cap_s / 2, cap_s)
    # 30 doublings are more than any cap; beyond that the power would only grow.
    return random.uniform(0, min(cap_s, FIRST_LIMIT_S * 2 ** min(attempt, 30)))


def _named_wait(ending: Ending) -> float | None:
    """The wait that the server asked for: 1013 in its reason, 503 in ``Retry-After``."""
    if ending.code == CloseCode.TRY_AGAIN_LATER:
        text = ending.reason
    elif ending.http_status == 503:
        text = ending.retry_after
    else:
        return None
    number = re.search(r"\d+(\.\d+)?", text)
    return None if number is None else min(float(number.group()), LONGEST_NAMED_S)
