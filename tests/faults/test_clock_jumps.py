"""The clock of a node jumps, and jumps back: waits go on as they were, and dates follow it."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from tests.faults.processes import Site
from tests.house import command_id_of, until
from tests.journeys.bare_lock import BareLock
from tests.programs import program

OFFLINE_AFTER_S = 2
HOUR_S = 3600


class Clock:
    """The clock of a server's process, which the test sets while the server runs."""

    def __init__(self, folder: Path) -> None:
        library = folder / "jumping_clock.so"
        source = Path(__file__).with_name("jumping_clock.c")
        compiler = program("cc", package="gcc libc6-dev")
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(library), str(source)]
        subprocess.run(command, check=True)
        self._file = folder / "off_by"
        self.variables = {"LD_PRELOAD": str(library), "CLOCK_OFF_BY": str(self._file)}

    def jump(self, hours: int) -> None:
        """Be so many hours ahead of the true time from now on."""
        new = self._file.with_suffix(".new")
        new.write_text(str(hours * HOUR_S))
        new.replace(self._file)


@pytest.fixture
def clock(site: Site, tmp_path: Path) -> Clock:
    clock = Clock(tmp_path)
    site.server.variables.update(clock.variables)
    return clock


@pytest.mark.parametrize(
    ("hours", "judgement"),
    [(1, "Your key has expired"), (-1, "Your key is not valid yet")],
    ids=["ahead", "back"],
)
async def test_when_a_nodes_clock_jumps_its_locks_and_openings_go_on_and_keys_follow_the_clock(
    site: Site, clock: Clock, hours: int, judgement: str
) -> None:
    await site.server.start(heartbeat_s="0.5", offline_after_s=str(OFFLINE_AFTER_S))
    device = (await site.locks()).all[0]
    key = await site.key(device)
    loop = asyncio.get_running_loop()
    async with BareLock(site.url, device).online() as connection:
        before = await site.connection(device)
        under_way = await site.tap_open(key)
        command = await connection.hear("command")
        clock.jump(hours)
        jumped_at = loop.time()
        await connection.result(command["id"], "opened")
        await site.until_state(command_id_of(under_way), "opened")
        judged = await site.tap_open(key)

        async def a_silent_lock_would_be_offline() -> bool:
            return loop.time() - jumped_at > OFFLINE_AFTER_S

        await until(a_silent_lock_would_be_offline)
        after = await site.connection(device)
        clock.jump(0)
        again = await site.tap_open(key)
        command = await connection.hear("command")
        await connection.result(command["id"], "opened")
        await site.until_state(command_id_of(again), "opened")
    assert (judged.status, judged.text("h1")) == (400, judgement)
    assert (after["online"], after["since"]) == (True, before["since"])
