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
    """One measurement over time; ``words`` say the same as the line."""

    title: str
    latest: str
    lowest: str
    highest: str
    path: str
    words: str


Point = tuple[datetime, float]

_WORDS = "{title}: {latest} now; between {lowest} and {highest}"


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
    texts = {
        "title": title,
        "latest": _text(points[-1][1], unit),
        "lowest": _text(low, unit),
        "highest": _text(high, unit),
    }
    return ChartView(
        **texts, path=_path(shown, low, high, begin, end), words=_WORDS.format(**texts)
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
