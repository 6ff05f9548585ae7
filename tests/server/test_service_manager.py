"""What systemd hears of a server, on a socket like its own."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from server import service_manager
from server.settings import Settings
from server.storage.mongo import Database
from tests.faults.processes import Process

WITHIN_S = 30


class Listener:
    """A datagram socket of systemd's kind, in the file system or under an abstract name."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(address.replace("@", "\0"))
        self.channel.setblocking(False)

    async def hear(self) -> str:
        """The next state that is told."""
        async with asyncio.timeout(WITHIN_S):
            return (await asyncio.get_running_loop().sock_recv(self.channel, 4096)).decode()


@pytest.fixture(params=["file", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    path = tmp_path / "notify"
    listener = Listener(str(path) if request.param == "file" else f"@{path}")
    yield listener
    listener.channel.close()


async def test_a_state_is_told_to_whoever_started_this(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NOTIFY_SOCKET", listener.address)
    service_manager.tell("READY=1")
    assert await listener.hear() == "READY=1"


def test_nothing_is_told_where_nobody_listens(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service_manager.tell("READY=1")


@pytest.mark.expects_log("service_manager_not_told")
def test_a_socket_that_is_gone_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nowhere"))
    service_manager.tell("READY=1")


@pytest.mark.parametrize(
    ("asked_us", "of_pid"), [(None, None), ("", None), ("soon", None), ("1000", "1")]
)
async def test_no_signs_of_life_where_nobody_asks_this_process(
    monkeypatch: pytest.MonkeyPatch, asked_us: str | None, of_pid: str | None
):
    for name, value in (("WATCHDOG_USEC", asked_us), ("WATCHDOG_PID", of_pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    await asyncio.wait_for(service_manager.give_signs_of_life(), WITHIN_S)


async def test_a_server_is_ready_and_alive_and_says_when_it_stops(
    mongodb_uri: str, database: Database, settings: Settings, tmp_path: Path
):
    listener = Listener(str(tmp_path / "notify"))
    server = Process(tmp_path / "server.log")
    variables = {
        "LATCHKEY_MONGODB_URI": mongodb_uri,
        "LATCHKEY_MONGODB_DATABASE": settings.mongodb_database,
        "LATCHKEY_PORT": "0",
        "NOTIFY_SOCKET": listener.address,
        "WATCHDOG_USEC": "200000",
    }
    try:
        await server.spawn(["-m", "server", "serve"], variables)
        assert await listener.hear() == "READY=1"
        assert [await listener.hear() for _ in range(3)] == ["WATCHDOG=1"] * 3
        server.ask_to_end()
        while (told := await listener.hear()) != "STOPPING=1":
            assert told == "WATCHDOG=1"
        assert await server.exit_status() == 0
    finally:
        await server.kill()
        listener.channel.close()
