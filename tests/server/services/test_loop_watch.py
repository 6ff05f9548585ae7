"""Whether the event loop turns, by an event loop that is made to stand still."""

import asyncio
import time
from collections.abc import Iterator

import pytest
from tornado.ioloop import IOLoop

from server.metrics import PrometheusMetrics
from server.services import loop_watch
from server.services.loop_watch import LoopWatch
from server.services.tasks import Tasks
from tests.house import until

STALL_S = 0.3


@pytest.fixture
def watch(io_loop: IOLoop, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopWatch]:
    """A watch that runs, and looks more often and is less patient than in production."""
    monkeypatch.setattr(loop_watch, "_EVERY_S", 0.02)
    monkeypatch.setattr(loop_watch, "_STALL_S", STALL_S)
    watch, tasks = LoopWatch(PrometheusMetrics()), Tasks()

    async def start() -> None:
        tasks.spawn(watch.run_forever(), "loop-watch")
        await asyncio.sleep(0)  # so that it has begun

    io_loop.run_sync(start)
    yield watch
    io_loop.run_sync(tasks.cancel)


async def test_a_loop_that_stands_still_is_found_out_before_the_watch_runs_again(watch: LoopWatch):
    time.sleep(2 * STALL_S)
    assert watch.is_stalled


async def test_a_stall_is_remembered_for_a_while_and_then_forgotten(watch: LoopWatch):
    time.sleep(2 * STALL_S)
    await asyncio.sleep(0.02)
    assert watch.is_stalled
    assert watch.worst_s > STALL_S

    async def is_well() -> bool:
        return not watch.is_stalled

    assert await until(is_well)


def test_a_loop_that_was_not_looked_at_yet_is_not_stalled():
    assert not LoopWatch(PrometheusMetrics()).is_stalled
