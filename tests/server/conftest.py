"""The command line on the tests' MongoDB."""

import asyncio
import os
from pathlib import Path

import pytest

from server.settings import Settings
from tests.server.command_line import WITHIN_S, Ran, Run, start


@pytest.fixture
def environment(mongodb_uri: str, settings: Settings, tmp_path: Path) -> dict[str, str]:
    """The variables of a command, with the tests' database."""
    others = {name: text for name, text in os.environ.items() if not name.startswith("LATCHKEY_")}
    return others | {
        "LATCHKEY_MONGODB_URI": mongodb_uri,
        "LATCHKEY_MONGODB_DATABASE": settings.mongodb_database,
        "LATCHKEY_LOG_FORMAT": "json",
        "LATCHKEY_DATA": str(tmp_path),
        "LATCHKEY_PORT": "0",
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Run one command to its end; keyword arguments are variables of its environment."""

    async def run(*arguments: str, **variables: str) -> Ran:
        process = await start(environment | variables, *arguments)
        try:
            async with asyncio.timeout(WITHIN_S):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        return Ran(process.returncode, out.decode(), err.decode())

    return run
