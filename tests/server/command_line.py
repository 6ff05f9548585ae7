"""The command line, as an operator runs it: a process of its own."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
WITHIN_S = 50


class Ran(NamedTuple):
    """How a command ended, and what it said."""

    code: int | None
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


Run = Callable[..., Coroutine[Any, Any, Ran]]
"""Runs one command to its end; keyword arguments are variables of its environment."""


async def start(environment: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "server",
        *arguments,
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def create_organization(run: Run) -> str:
    """Add an organisation; its id."""
    created = await run("org", "create", "Hotel Post", "--json")
    assert created.code == 0, created.err
    return created.json["id"]
