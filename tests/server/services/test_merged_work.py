"""Work that many ask for: merged while it waits, done again for later news, bounded at once."""

import asyncio

from server.services.merged_work import MergedWork
from tests.house import until

AT_ONCE = 3


class Workshop:
    """Notes what is worked on, and holds it until it is let go."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.let_go = asyncio.Event()

    async def work(self, number: int) -> None:
        self.begun.append(number)
        await self.let_go.wait()


async def until_begun(workshop: Workshop, count: int) -> None:
    async def so_many() -> bool:
        return len(workshop.begun) == count

    await until(so_many)


async def test_what_is_asked_for_many_times_while_it_waits_is_done_once() -> None:
    workshop = Workshop()
    work = MergedWork(workshop.work, "test", at_once=1)
    work.ask(1)
    await until_begun(workshop, 1)
    for _ in range(100):
        work.ask(2)
    workshop.let_go.set()
    await work.finish(within_s=10)
    assert workshop.begun == [1, 2]


async def test_what_is_asked_for_while_it_is_done_is_done_again() -> None:
    workshop = Workshop()
    work = MergedWork(workshop.work, "test", at_once=1)
    work.ask(1)
    await until_begun(workshop, 1)
    work.ask(1)
    workshop.let_go.set()
    await work.finish(within_s=10)
    assert workshop.begun == [1, 1]


async def test_no_more_is_done_at_once_than_may_be_and_all_is_done_in_the_end() -> None:
    workshop = Workshop()
    work = MergedWork(workshop.work, "test", AT_ONCE)
    for number in range(100):
        work.ask(number)
    await until_begun(workshop, AT_ONCE)
    await asyncio.sleep(0)
    at_once = len(workshop.begun)
    workshop.let_go.set()
    await work.finish(within_s=10)
    assert at_once == AT_ONCE
    assert workshop.begun == list(range(100))
