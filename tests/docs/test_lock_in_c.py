"""The lock in plain C that the firmware page shows: compiled, connected, and asked to open."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import structs
from tornado.ioloop import IOLoop

from server.settings import Settings
from server.storage.mongo import Database
from tests.house import Device, House, command_id_of, until

SOURCE = Path(__file__).parents[2] / "docs" / "examples" / "lock.c"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lock, compiled by the system's compiler, which has nothing to complain about."""
    compiler = shutil.which("cc")
    assert compiler is not None, "needs a C compiler (Debian: apt-get install gcc libc6-dev)"
    compiled = tmp_path_factory.mktemp("c") / "lock"
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([compiler, *flags, "-o", compiled, SOURCE], check=True, timeout=60)
    return compiled


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A lock may be silent for longer than a command lives."""
    return structs.replace(settings, heartbeat_s=1, offline_after_s=20)


class LockInC:
    """A device that the program plays; its door is what the program has printed."""

    def __init__(self, program: Path, house: House, device: Device, folder: Path) -> None:
        self.lock_id = device.lock_id
        self._house = house
        token_file, parts = folder / "token", urlsplit(house.url)
        token_file.write_text(device.token + "\n")
        where = [str(parts.hostname), str(parts.port), str(device.lock_id)]
        self._command = [program, *where, token_file, folder / "state"]
        self.openings: list[str] = []

    @asynccontextmanager
    async def online(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Power on, until the server shows the lock online; killed at the end."""
        process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        watching = asyncio.create_task(self._watch(process.stdout))
        try:
            await self._house.until_online(self)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await watching

    async def _watch(self, door: asyncio.StreamReader) -> None:
        while line := await door.readline():
            self.openings.append(line.decode().removeprefix("opened ").strip())


@pytest.fixture
def lock(io_loop: IOLoop, program: Path, house: House, tmp_path: Path) -> LockInC:
    """A lock of the house, switched off."""
    device = io_loop.run_sync(house.device)
    return LockInC(program, house, device, tmp_path)


async def test_it_opens_for_a_guest_and_tells_so(
    house: House, lock: LockInC, database: Database
) -> None:
    key = await house.key(lock)
    async with lock.online():
        tapped = await house.tap_open(key)
        command = await house.until_state(command_id_of(tapped), "opened")

        async def reported() -> bool:
            return await database["reports"].count_documents({"commandId": command["id"]}) == 1

        assert await until(reported)
        page = await house.visit(tapped.location)
    assert page.text("h1") == "The door is open"
    assert lock.openings == [command["id"]]
    assert [step["state"] for step in command["history"]] == [
        "queued",
        "sent",
        "accepted",
        "opened",
    ]


async def test_it_refuses_a_command_that_a_network_held_back_past_its_expiry(
    house: House, lock: LockInC
) -> None:
    key = await house.key(lock)
    async with lock.online() as process:
        first = await house.tap_open(key)  # to be sure that it knows the time
        await house.until_state(command_id_of(first), "opened")
        process.send_signal(signal.SIGSTOP)
        tapped = await house.tap_open(key)
        await house.until_state(command_id_of(tapped), "unconfirmed")
        process.send_signal(signal.SIGCONT)
        command = await house.until_state(command_id_of(tapped), "refused")
    assert command["reason"] == "expired"
    assert lock.openings == [command_id_of(first)]
    assert await house.used_count(key) == 1


async def test_after_a_power_cut_it_opens_again_and_no_number_is_used_twice(
    house: House, lock: LockInC, database: Database
) -> None:
    key = await house.key(lock)
    opened: list[str] = []
    for _ in range(2):
        async with lock.online():
            tapped = await house.tap_open(key)
            opened.append(command_id_of(tapped))
            await house.until_state(opened[-1], "opened")

            async def reported() -> bool:
                return await database["reports"].count_documents({}) == len(opened)

            assert await until(reported)
        await house.until_offline(lock)
    assert lock.openings == opened
    stored = [report async for report in database["reports"].find().sort("seq", 1)]
    assert [(report["seq"], report["commandId"]) for report in stored] == [
        (1, opened[0]),
        (2, opened[1]),
    ]


async def test_it_answers_pings_and_stays_away_once_its_token_is_revoked(
    house: House, lock: LockInC, settings: Settings
) -> None:
    async with lock.online() as process:
        since = (await house.connection(lock))["since"]
        await asyncio.sleep(2.5 * settings.heartbeat_s)
        assert (await house.connection(lock))["since"] == since
        await house.manage("DELETE", f"/locks/{lock.lock_id}/credentials")
        async with asyncio.timeout(20):
            assert await process.wait() == 0
