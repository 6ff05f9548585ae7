"""Processes of a benchmark: started, asked, their processor time and memory read, and ended."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
from tornado.httpclient import AsyncHTTPClient, HTTPError

from server.child_process import dying_with_parent

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".latchkey" / "bench"
PYTHON_PACKAGES = CACHE / "python"
"""Where ``./latchkey bench`` has put what bench/requirements.txt asks for."""

_READY_WITHIN_S = 60.0
_END_WITHIN_S = 30.0
_LONGEST_ANSWER = 2**20


class BenchError(Exception):
    """The benchmark cannot go on; the message says why."""


class Running:
    """A process that runs."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.pid = process.pid
        self._process = process
        self._psutil = psutil.Process(process.pid)
        self._log = log

    def cpu_s(self) -> float:
        """The processor time that it has used so far, in the kernel too."""
        return cpu_s(self._psutil)

    def memory_bytes(self) -> int:
        """The memory that is its alone."""
        return self._psutil.memory_full_info().uss

    async def ask(self, job: str, **arguments: object) -> dict[str, Any]:
        """Have the load do a job; what it tells.

        Raises:
            BenchError: it ended instead.
        """
        pipe, answers = self._process.stdin, self._process.stdout
        if pipe is None or answers is None:
            raise BenchError(f"{self.name} takes no jobs")
        pipe.write(msgspec.json.encode([job, arguments]) + b"\n")
        answer = await answers.readline()
        if not answer:
            raise BenchError(f"{self.name} ended at {job!r}:\n{self.last_words()}")
        return msgspec.json.decode(answer)

    async def until_ready(self, url: str) -> None:
        """Wait until it serves.

        Raises:
            BenchError: it does not.
        """
        http = AsyncHTTPClient()
        async with asyncio.timeout(_READY_WITHIN_S):
            while self._process.returncode is None:
                with suppress(OSError, HTTPError):
                    await http.fetch(f"{url}/health/ready")
                    return
                await asyncio.sleep(0.05)
        raise BenchError(f"{self.name} did not start:\n{self.last_words()}")

    def last_words(self) -> str:
        """The end of what it wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    async def end(self) -> None:
        """End it, and wait until it has."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_END_WITHIN_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


def cpu_s(process: psutil.Process) -> float:
    """The processor time of a process."""
    times = process.cpu_times()
    return times.user + times.system


@asynccontextmanager
async def running(
    name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """Run a program while this is entered; what it says besides answers goes to ``log``."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *dying_with_parent(command),
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=said,
            limit=_LONGEST_ANSWER,
        )
    child = Running(name, process, log)
    try:
        yield child
    finally:
        await child.end()


def with_packages() -> dict[str, str]:
    """The environment in which Python finds the packages of the peers and the load."""
    return {"PYTHONPATH": str(PYTHON_PACKAGES)}


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module."""
    return [sys.executable, "-m", module, *arguments]
