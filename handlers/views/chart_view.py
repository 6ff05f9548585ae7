"""Readings over time as a line: an SVG path, and what it says in words."""

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

WIDTH, HEIGHT = 600, 120
_MARGIN = 6
_MOST_POINTS = 300
_LONGEST_GAP = 0.06
"""Of the whole width: over a longer time without readings there is no line."""


class ChartView(Struct, frozen=True, kw_only=True):
    """One measurement over time: a line that ends in a dot (``now``), and the same in ``words``."""

    title: str
    latest: str
    spread: str
    path: str
    now: str
    words: str


Point = tuple[datetime, float]

_SPREAD = "between {lowest} and {highest}"
_NO_SPREAD = "the same all the time"


def chart_view(
    title: str, unit: str, points: Sequence[Point], begin: datetime, end: datetime
) -> ChartView | None:
    """A line through ``points``, the oldest first; None where there is none.

    Its lowest value is at the bottom and its highest at the top.
    """
    if not points:
        return None
    step = -(-len(points) // _MOST_POINTS)
    # From the newest on, which is always there.
    shown = list(reversed(points[::-1][::step]))
    values = [value for _, value in points]
    low, high = min(values), max(values)
    latest, lowest, highest = (_text(value, unit) for value in (points[-1][1], low, high))
    spread = _SPREAD if lowest != highest else _NO_SPREAD
    spread = spread.format(lowest=lowest, highest=highest)
    return ChartView(
        title=title,
        latest=latest,
        spread=spread,
        path=_path(shown, low, high, begin, end),
        now=_path(shown[-1:], low, high, begin, end),
        words=f"{title}: {latest} now; {spread}",
    )


def _text(value: float, unit: str) -> str:
    return f"{value:.1f}".removesuffix(".0") + f" {unit}"


def _path(points: Sequence[Point], low: float, high: float, begin: datetime, end: datetime) -> str:
    steps: list[str] = []
    last_x: float | None = None
    for at, value in points:
        x = WIDTH * ((at - begin) / (end - begin))
        share = (value - low) / (high - low) if high > low else 0.5
        y = HEIGHT - _MARGIN - share * (HEIGHT - 2 * _MARGIN)
        connected = last_x is not None and x - last_x <= _LONGEST_GAP * WIDTH
        steps.append(f"{'L' if connected else 'M'}{x:.0f} {y:.0f}")
        if not connected:
            steps.append("h1")  # a reading on its own is a dot
        last_x = x
    return "".join(steps)
