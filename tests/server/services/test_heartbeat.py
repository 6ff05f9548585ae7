"""The heartbeat of a connection, on the real event loop: conditions are awaited, not durations."""

import asyncio
import time
from collections.abc import Callable

import pytest

from server.domain.locks import LivenessPolicy
from server.services.heartbeat import Heartbeat

WITHIN_S = 20


class Line:
    """A connection as its heartbeat knows it: how often it was pinged and cut."""

    def __init__(self, answers: bool = False) -> None:
        self.pings = 0
        self.cuts = 0
        self.was_pinged = asyncio.Event()
        self.was_cut = asyncio.Event()
        self.heartbeat: Heartbeat | None = None
        self._answers = answers

    def watched(self, heartbeat_s: float, offline_after_s: float) -> "Line":
        policy = LivenessPolicy(heartbeat_s=heartbeat_s, offline_after_s=offline_after_s)
        self.heartbeat = Heartbeat(policy, self._ping, self._cut)
        return self

    def stop(self) -> None:
        assert self.heartbeat is not None
        self.heartbeat.stop()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait, from ping to ping, for something to be so."""
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self.was_pinged.clear()
                await self.was_pinged.wait()

    def _ping(self) -> None:
        self.pings += 1
        self.was_pinged.set()
        if self._answers and self.heartbeat is not None:
            self.heartbeat.heard()

    def _cut(self) -> None:
        self.cuts += 1
        self.was_cut.set()


async def test_a_silent_connection_is_cut():
    line = Line().watched(0.01, 0.05)
    async with asyncio.timeout(WITHIN_S):
        await line.was_cut.wait()
    assert line.cuts == 1


async def test_a_silent_connection_is_asked_before_it_is_cut():
    line = Line().watched(0.01, 1.0)
    async with asyncio.timeout(WITHIN_S):
        await line.was_cut.wait()
    assert line.pings >= 1


async def test_a_connection_is_cut_only_once_and_not_pinged_afterwards():
    first = Line().watched(0.01, 0.05)
    async with asyncio.timeout(WITHIN_S):
        await first.was_cut.wait()
    pings = first.pings
    second = Line().watched(0.01, 0.05)
    async with asyncio.timeout(WITHIN_S):
        await second.was_cut.wait()
    assert (first.cuts, first.pings) == (1, pings)


async def test_a_connection_that_answers_is_pinged_again_and_again_and_never_cut():
    loop = asyncio.get_running_loop()
    offline_after_s = 0.6
    line = Line(answers=True).watched(0.01, offline_after_s)
    long_after = loop.time() + 2 * offline_after_s
    await line.until(lambda: loop.time() > long_after)
    assert line.cuts == 0
    assert line.pings > 2
    line.stop()


async def test_a_connection_that_falls_silent_after_it_answered_is_cut():
    line = Line(answers=True).watched(0.01, 0.6)
    await line.until(lambda: line.pings >= 3)
    line._answers = False
    async with asyncio.timeout(WITHIN_S):
        await line.was_cut.wait()
    assert line.cuts == 1


async def test_a_connection_that_is_watched_no_longer_is_neither_pinged_nor_cut():
    stopped = Line().watched(0.01, 0.05)
    stopped.stop()
    control = Line().watched(0.01, 0.05)
    async with asyncio.timeout(WITHIN_S):
        await control.was_cut.wait()
    assert (stopped.pings, stopped.cuts) == (0, 0)


async def test_after_a_stall_of_our_own_a_connection_is_asked_first():
    line = Line().watched(0.05, 0.2)
    time.sleep(0.8)  # the whole process stands still, and frames may be waiting unread
    await line.until(lambda: line.pings > 0)
    assert line.cuts == 0
    line.stop()


async def test_after_a_stall_of_our_own_a_silent_connection_is_cut_all_the_same():
    line = Line().watched(0.05, 0.2)
    time.sleep(0.8)
    async with asyncio.timeout(WITHIN_S):
        await line.was_cut.wait()
    assert line.cuts == 1


async def test_a_sign_of_life_ends_the_silence():
    line = Line().watched(10, 30)
    heartbeat = line.heartbeat
    assert heartbeat is not None
    loop = asyncio.get_running_loop()
    begun = loop.time()
    while loop.time() == begun:
        await asyncio.sleep(0)
    silent_for_s = heartbeat.silent_for_s
    heartbeat.heard()
    assert silent_for_s > 0
    assert heartbeat.silent_for_s <= loop.time() - begun
    line.stop()


@pytest.mark.parametrize("answers", [True, False])
async def test_pings_begin_one_heartbeat_after_the_connection(answers: bool):
    line = Line(answers).watched(3600, 7200)
    control = Line().watched(0.01, 0.05)
    async with asyncio.timeout(WITHIN_S):
        await control.was_cut.wait()
    assert line.pings == 0
    line.stop()


async def test_silence_does_not_count_while_nothing_is_read_but_pings_go_on():
    loop = asyncio.get_running_loop()
    line = Line().watched(0.01, 0.2)
    assert line.heartbeat is not None
    with line.heartbeat.deaf():
        long_after = loop.time() + 0.6
        await line.until(lambda: loop.time() > long_after)
        cuts = line.cuts
    assert cuts == 0
    line.stop()


async def test_a_connection_that_stays_silent_when_it_is_read_again_is_cut():
    line = Line().watched(0.01, 0.2)
    assert line.heartbeat is not None
    with line.heartbeat.deaf():
        await line.until(lambda: line.pings >= 3)
    async with asyncio.timeout(WITHIN_S):
        await line.was_cut.wait()
    assert line.cuts == 1
