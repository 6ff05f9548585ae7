"""How much is measured: sizes, rounds and seconds."""

from msgspec import Struct


class Plan(Struct, frozen=True, kw_only=True):
    """What one run of the benchmark does.

    A *visit* starts one stack with ``locks`` locks and takes it through the scenarios. Each round
    visits every stack once, in turn; ``growth`` are the sizes at which this server is visited
    besides, alone.
    """

    locks: int
    rounds: int
    growth: tuple[int, ...]
    at_once: int = 50
    seconds: float = 3.0
    idle_s: float = 10.0
    window: int = 8
    reports_a_second: float = 500.0
    reporting: int = 50
    """How many locks report after an outage."""
    outage_reports: int = 2_000
    taps: int = 100
    taps_a_second: float = 20.0
    guests: int = 16
    followers: int = 100
    streamed_s: float = 10.0
    """For how long they follow, after they have come in."""


FULL = Plan(locks=1_000, rounds=3, growth=(100, 1_000, 10_000))
QUICK = Plan(
    locks=60,
    rounds=1,
    growth=(20, 40),
    seconds=0.7,
    idle_s=0.5,
    reporting=10,
    outage_reports=500,
    taps=10,
    guests=4,
    followers=5,
    streamed_s=0.7,
)
