"""The processes that the demo starts: watched while it runs, stopped when it ends."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self, TypeVar

from server.child_process import dying_with_parent

ROOT = Path(__file__).resolve().parent.parent

STOP_LIMIT_S = 15.0
"""The server lets openings in flight end first; one that takes longer than this is killed."""

_LINES_TO_SHOW = 15

T = TypeVar("T")


class ChildEnded(Exception):
    """A process of the demo ended by itself; the message says which, and what it said last."""

    def __init__(self, child: "Child", how: str) -> None:
        super().__init__(f"{child.name} ended by itself ({how}).{last_lines(child.log)}")
        self.child = child


@dataclass(frozen=True)
class Child:
    """Something that must not end before the demo does."""

    name: str
    log: Path
    ended: "asyncio.Task[str]"
    """Done when it has ended; says how."""
    process: asyncio.subprocess.Process | None = None
    """What to stop; None where somebody else does."""

    @property
    def pid(self) -> int | None:
        return None if self.process is None else self.process.pid


class Children:
    """Starts processes, and on leaving stops them, the last one first.

    A cancellation while it stops them kills the rest at once.
    """

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            while self._children:
                await self._stop(self._children[-1])
                self._children.pop()
        finally:
            for child in self._children:  # left over by a cancellation
                child.ended.cancel()
                _signal(child, signal.SIGKILL)

    async def start(
        self,
        name: str,
        module: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Child:
        """Run ``python -m module…`` with ``stdin`` to read; what it prints goes to ``log``.

        Without ``env`` it has this process's environment.
        """
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *dying_with_parent([sys.executable, "-m", *module]),
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env=env,
                # Ctrl-C in the terminal is for the demo, which then stops them in order.
                start_new_session=True,
            )
        child = Child(name, log, asyncio.create_task(_exit_of(process)), process)
        self._children.append(child)
        await _feed(process, stdin)
        return child

    def watch(self, name: str, ended: Coroutine[Any, Any, str], log: Path) -> None:
        """Watch something that another owner stops: ``ended`` returns how it ended."""
        self._children.append(Child(name, log, asyncio.create_task(ended)))

    async def stop(self, child: Child) -> None:
        """Stop one before the others."""
        self._children.remove(child)
        await self._stop(child)

    async def until(self, wanted: Awaitable[T]) -> T:
        """Wait for ``wanted``, as long as all children live.

        Raises:
            ChildEnded: one of them ended first.
        """
        task = asyncio.ensure_future(wanted)
        try:
            await asyncio.wait(
                [task, *(child.ended for child in self._children)],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for child in self._children:
                if child.ended.done():
                    raise ChildEnded(child, child.ended.result())
            return await task
        finally:
            task.cancel()

    async def until_one_ends(self) -> NoReturn:
        """Wait for the first child that ends by itself.

        Raises:
            ChildEnded: always, in the end.
        """
        await self.until(asyncio.get_running_loop().create_future())
        raise AssertionError("a future that nobody sets was done")

    async def _stop(self, child: Child) -> None:
        if child.process is None:
            child.ended.cancel()
            return
        _signal(child, signal.SIGTERM)
        _signal(child, signal.SIGCONT)  # one that was paused would never hear the other
        try:
            await asyncio.wait([child.ended], timeout=STOP_LIMIT_S)
        finally:
            if not child.ended.done():
                _signal(child, signal.SIGKILL)
        await child.ended


def last_lines(log: Path) -> str:
    """What a child wrote last, for the end of a message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-_LINES_TO_SHOW:]
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in ["It said last:", *lines]) if lines else ""


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process is not None:
        with suppress(ProcessLookupError):
            child.process.send_signal(number)


async def _exit_of(process: asyncio.subprocess.Process) -> str:
    status = await process.wait()
    return f"status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


async def _feed(process: asyncio.subprocess.Process, content: bytes) -> None:
    pipe = process.stdin
    if pipe is None:
        return
    with suppress(ConnectionError):  # it has ended, which its watcher tells
        pipe.write(content)
        await pipe.drain()
    pipe.close()
