"""What it costs to count: the time that each fact takes, and a page for Prometheus.

python -m bench.metrics_cost
"""

import time
from collections.abc import Callable

from server import clock
from server.domain.commands import CommandState, OpenCommand, Step
from server.metrics import PrometheusMetrics
from server.services.health import Health, PartHealth

_TIMES = 50_000
_PAGES = 200


def main() -> None:
    """Measure, and print microseconds."""
    metrics, now = PrometheusMetrics(), clock.now()
    path = (
        CommandState.QUEUED,
        CommandState.SENT,
        CommandState.ACCEPTED,
        CommandState.OPENED,
    )
    opened = OpenCommand(
        id="",
        org_id="",
        lock_id=1,
        requested_at=now,
        expires_at=now,
        state=CommandState.OPENED,
        history=[Step(state=state, at=now) for state in path],
    )
    well = PartHealth(ok=True, latency_ms=1.0)
    health = Health(
        status="ok",
        version="",
        uptime_seconds=1.0,
        mongodb=well,
        event_loop=well,
        locks_online=1,
        locks_online_here=1,
        keys_at_risk=0,
    )
    facts: dict[str, Callable[[], object]] = {
        "a use was taken": lambda: metrics.use_claimed(0.004),
        "a lock has opened": lambda: metrics.command_stepped(opened),
        "a request was answered": lambda: metrics.request_answered(200),
        "a report came in": lambda: metrics.reports_received(1),
        "reports were stored": lambda: metrics.reports_stored(3, 0, 0.01),
        "the event loop was looked at": lambda: metrics.loop_was_late(0.001),
    }
    for name, note in facts.items():
        print(f"{name}: {_microseconds(note, _TIMES):.1f} µs")
    page = metrics.page(health, {})
    took = _microseconds(lambda: metrics.page(health, {}), _PAGES)
    print(f"a page of {len(page)} bytes: {took:.0f} µs")


def _microseconds(work: Callable[[], object], times: int) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times * 1e6


if __name__ == "__main__":
    main()
