"""Work that is asked for more often than it can be done: once for all who asked meanwhile."""

from collections.abc import Awaitable, Callable

from server.services.tasks import Tasks


class MergedWork:
    """Does the same thing for many numbers, so many at once at most.

    A number that is asked for while it waits is not waited for twice. One that is asked for
    while it is being worked on is worked on again, for what was read may be older than the news.
    """

    def __init__(self, work: Callable[[int], Awaitable[None]], name: str, at_once: int) -> None:
        self._work = work
        self._name = name
        self._at_once = at_once
        self._workers = 0
        self._waiting: dict[int, None] = {}  # a set that keeps its order
        self._tasks = Tasks()

    def ask(self, number: int) -> None:
        """Have the work done for a number, soon."""
        self._waiting[number] = None
        if self._workers < self._at_once:
            self._workers += 1
            self._tasks.spawn(self._work_off(), self._name)

    async def finish(self, within_s: float) -> None:
        """Wait until all is done; what is not after ``within_s`` seconds is cancelled."""
        await self._tasks.finish(within_s)

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                number = next(iter(self._waiting))
                del self._waiting[number]
                await self._work(number)
        finally:
            self._workers -= 1
