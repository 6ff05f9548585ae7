"""What a run has measured, as it is kept, and on what."""

import os
import platform
import subprocess
from pathlib import Path

from msgspec import Struct

from bench.plan import Plan
from bench.visit import Visited
from server import clock


class Machine(Struct, frozen=True, kw_only=True):
    """What it ran on, when, and of which commit."""

    commit: str
    at: str
    python: str
    system: str
    processor: str
    cores: int
    busy: float
    """The load average when the run ended: above the cores, others wanted them too."""


class Results(Struct, frozen=True, kw_only=True):
    """All of a run."""

    machine: Machine
    plan: Plan
    storage_alone: dict[str, float]
    visits: list[Visited]
    failed: list[str] = []
    """Sizes that this server could not be visited at, and why."""

    def values(self, stack: str, figure: str) -> list[float]:
        """A figure of a stack in all rounds."""
        return [
            visited.figures[figure]
            for visited in self.visits
            if visited.round and visited.stack == stack and figure in visited.figures
        ]

    def by_size(self, figure: str) -> dict[int, float]:
        """A figure of this server at each size."""
        return {
            visited.locks: visited.figures[figure]
            for visited in self.visits
            if not visited.round and figure in visited.figures
        }


def describe_machine() -> Machine:
    """The machine as it is now."""
    return Machine(
        commit=_commit(),
        at=clock.now().isoformat(timespec="seconds"),
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=os.cpu_count() or 1,
        busy=os.getloadavg()[0],
    )


def _commit() -> str:
    git = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    told = subprocess.run(git, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor()
