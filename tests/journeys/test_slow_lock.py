"""A lock that does not read what it is sent, where its own frames are not limited."""

from typing import Any

import pytest
from msgspec import structs

from server.settings import Settings
from tests.house import House, until
from tests.journeys.bare_lock import BareLock


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, frame_burst=1_000_000)


async def test_a_lock_that_never_reads_is_cut_off_and_the_log_stays_short(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.connection(receive_buffer=4096) as connection:
        await connection.hello()
        connection.stop_reading()
        before = len(caplog.records)

        async def cut_off() -> dict[str, Any] | None:
            if not connection.socket.transport.is_closing():
                connection.shout({"type": "x" * 60}, times=500)
            presence = await house.connection(lock)
            return None if presence["online"] else presence

        presence = await until(cut_off, timeout_s=50)
    lines = [line for line in caplog.records[before:] if line.name != "latchkey.access"]
    assert presence["offlineReason"] == "closed"
    assert len(lines) < 20
