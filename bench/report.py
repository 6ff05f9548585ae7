"""The table: the median of the rounds, their spread, and each peer's ratio to this server."""

import statistics

from bench.figures import BY_NAME, FIGURES, GROWING, Figure
from bench.results import Results
from bench.stacks import LATCHKEY, STACKS

_TITLE, _CELL = 36, 27


def text(results: Results) -> str:
    """All that a person wants to know of a run."""
    machine, plan = results.machine, results.plan
    stacks = [name for name in STACKS if any(v.stack == name for v in results.visits)]
    lines = [
        f"commit {machine.commit}, Python {machine.python}, {machine.cores} cores of "
        f"{machine.processor}, load average {machine.busy:.1f}",
        f"{plan.locks} locks, {plan.rounds} rounds; median (least to most), x ratio to Latchkey",
        "",
        " " * _TITLE + "".join(STACKS[name].title.rjust(_CELL) for name in stacks),
    ]
    for figure in FIGURES:
        label = f"{figure.title}, {figure.unit}"
        cells = "".join(_cell(results, figure, name).rjust(_CELL) for name in stacks)
        lines.append(label.ljust(_TITLE) + cells)
    lines += ["", *_alone(results), *_streams(results), *_two_nodes(results), *_growth(results)]
    busiest = max(
        (share, job, visited.stack)
        for visited in results.visits
        for job, share in visited.load_share.items()
    )
    share, job, stack = busiest
    lines.append(f"The load used {share:.0%} of a core at most ({job}, {stack}).")
    return "\n".join(lines)


def _cell(results: Results, figure: Figure, stack: str) -> str:
    values = results.values(stack, figure.name)
    if not values:
        return "-"
    middle = statistics.median(values)
    cell = f"{_short(middle)} ({_short(min(values))}-{_short(max(values))})"
    ours = results.values(LATCHKEY.name, figure.name)
    if stack == LATCHKEY.name or not ours or not statistics.median(ours):
        return cell
    return f"{cell} x{middle / statistics.median(ours):.2f}"


def _alone(results: Results) -> list[str]:
    alone = results.storage_alone
    return [
        f"Reports decoded and made ready: {alone['decoded_and_queued_a_second']:,.0f} /s of CPU; "
        f"insert_many alone: {alone['insert_many_a_second']:,.0f} /s"
    ]


def _streams(results: Results) -> list[str]:
    lines: list[str] = []
    without = results.values(LATCHKEY.name, "streams.none_core_percent")
    for way in ("api", "dashboard"):
        values = results.values(LATCHKEY.name, f"streams.{way}_core_percent")
        if values:
            more = statistics.median(values) - statistics.median(without)
            lines.append(f"{results.plan.followers} streams ({way}): {more:+.1f} % of a core")
    return lines


def _two_nodes(results: Results) -> list[str]:
    same = results.values("two nodes", "two_nodes.same_ms")
    other = results.values("two nodes", "two_nodes.other_ms")
    if not same:
        return []
    here, there = statistics.median(same), statistics.median(other)
    return [
        f"Tap to the frame, p50: {here:.1f} ms on the node that holds the lock, "
        f"{there:.1f} ms through the other ({there - here:+.2f} ms)"
    ]


def _growth(results: Results) -> list[str]:
    lines: list[str] = []
    for name in GROWING:
        sizes = results.by_size(name)
        if sizes:
            cells = ", ".join(f"{size}: {_short(value)}" for size, value in sizes.items())
            lines.append(f"{BY_NAME[name].title}, {BY_NAME[name].unit}, by locks: {cells}")
    return lines


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
