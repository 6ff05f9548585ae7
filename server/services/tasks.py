"""Background work that nobody forgets: every task is kept, watched and awaited."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger(__name__)


class Tasks:
    """A set of running tasks; one that fails is logged, and the others go on."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Start ``work`` and keep it until it ends."""
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def finish(self, within_s: float) -> None:
        """Wait for all work to end; what has not ended after ``within_s`` seconds is cancelled."""
        if not self._running:
            return
        _, late = await asyncio.wait(list(self._running), timeout=within_s)
        await _cancel(late)

    async def cancel(self) -> None:
        """Cancel all work, and wait until it has ended."""
        await _cancel(set(self._running))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", task=task.get_name(), exc_info=error)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
