"""Plots of cost against size, as SVG: one for each figure that should not grow."""

import math
from collections.abc import Iterator
from pathlib import Path

from bench.figures import BY_NAME, GROWING, Figure
from bench.results import Results

_WIDTH, _HEIGHT, _MARGIN = 480, 240, 48


def draw(results: Results, folder: Path) -> Iterator[Path]:
    """Write the plots; where each is."""
    for name in GROWING:
        sizes = results.by_size(name)
        if len(sizes) > 1:
            path = folder / f"growth-{name.replace('.', '-')}.svg"
            path.write_text(_plot(BY_NAME[name], sizes))
            yield path


def _plot(figure: Figure, sizes: dict[int, float]) -> str:
    """The sizes on a logarithmic axis, the cost from zero on."""
    most = max(sizes.values()) * 1.15 or 1.0
    first, last = math.log(min(sizes)), math.log(max(sizes))
    points = [
        (
            _MARGIN + (math.log(size) - first) / (last - first) * (_WIDTH - 2 * _MARGIN),
            _HEIGHT - _MARGIN - value / most * (_HEIGHT - 2 * _MARGIN),
        )
        for size, value in sorted(sizes.items())
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        f'<text x="{x:.1f}" y="{y - 10:.1f}">{value:.3g}</text>'
        f'<text x="{x:.1f}" y="{_HEIGHT - _MARGIN + 18}">{size}</text>'
        for (x, y), (size, value) in zip(points, sorted(sizes.items()), strict=True)
    )
    floor = _HEIGHT - _MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12" text-anchor="middle" fill="#1b3a4b">'
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        f'<text x="{_WIDTH / 2}" y="20" font-size="14">{figure.title}, {figure.unit}</text>'
        f'<path d="M{_MARGIN} {floor}H{_WIDTH - _MARGIN}" stroke="#9aa"/>'
        f'<polyline points="{line}" fill="none" stroke="#1b6e8a" stroke-width="2"/>{marks}'
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT - 10}">locks</text></svg>\n'
    )
