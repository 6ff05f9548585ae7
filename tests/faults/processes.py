"""The server and the simulated locks as processes of their own, to be stopped and killed by pid."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psutil
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from server import clock
from server.bus.embedded_nats import find_nats_server
from server.child_process import dying_with_parent
from server.domain.times import wire_time
from server.services.provisioning import NewLock, Provisioning
from simulator import flash
from simulator.journal import Opening
from tests.house import Device, HasLockId, People, until

ROOT = Path(__file__).resolve().parents[2]
EXIT_WITHIN_S = 30.0


class IssuedKey(NamedTuple):
    """A temp key, as far as its guests know it."""

    uuid: str


_PORTS = range(20_000, 32_000)
"""Below those that connections begin at: a port stays free while its server is down."""


def free_port() -> int:
    """A port that nobody listens on."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.choice(_PORTS)))
            return probe.getsockname()[1]


class Process:
    """A program under test. What it writes goes to ``log``, across restarts."""

    program = sys.executable

    def __init__(self, log: Path) -> None:
        self.log = log
        self.writes_to: int | None = None
        """A file descriptor to write to instead."""
        self._process: asyncio.subprocess.Process | None = None

    async def spawn(
        self, command: Sequence[str], variables: Mapping[str, str], stdin: bytes = b""
    ) -> None:
        """Start the program; what it reads from its standard input ends with ``stdin``."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *dying_with_parent([self.program, *command]),
                cwd=ROOT,
                env={**os.environ, **variables},
                stdin=asyncio.subprocess.PIPE,
                stdout=self.writes_to or log,
                stderr=self.writes_to or log,
            )
        assert self._process.stdin is not None
        self._process.stdin.write(stdin)
        self._process.stdin.close()

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was never started"
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def output(self) -> str:
        """All that it has written so far."""
        return self.log.read_text(errors="replace")

    async def until_said(self, words: str) -> None:
        """Wait until it has written some words."""

        async def said() -> bool:
            return words in self.output

        await until(said)

    async def freeze(self) -> None:
        """Let it stand still (SIGSTOP) until ``thaw``."""
        await freeze(self.pid)

    def thaw(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    async def kill(self) -> None:
        """End it at once (SIGKILL), and wait until it is gone."""
        if self.runs:
            os.kill(self.pid, signal.SIGKILL)
            await self._wait()

    def send(self, signalled: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, signalled)

    def ask_to_end(self) -> None:
        """Ask it to end (SIGTERM)."""
        self.send(signal.SIGTERM)

    async def exit_status(self) -> int:
        """Wait until it has ended."""
        async with asyncio.timeout(EXIT_WITHIN_S):
            return await self._wait()

    async def _wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()


async def freeze(pid: int) -> None:
    """Let a process stand still (SIGSTOP), and return once it does."""
    os.kill(pid, signal.SIGSTOP)

    async def stands_still() -> bool:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED

    await until(stands_still)


class Server(Process):
    """``python -m server serve``, always on the same port."""

    def __init__(self, log: Path, variables: Mapping[str, str]) -> None:
        super().__init__(log)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.variables = {
            "LATCHKEY_LOG_FORMAT": "json",
            "LATCHKEY_HEARTBEAT_S": "1",
            "LATCHKEY_OFFLINE_AFTER_S": "4",
            "LATCHKEY_COMMAND_LIFE_S": "3",
            **variables,
            "LATCHKEY_PORT": str(self.port),
        }

    async def start(self, **variables: str) -> None:
        """Start it, with these settings as well, and return once it answers."""
        given = {f"LATCHKEY_{name.upper()}": value for name, value in variables.items()}
        await self.spawn(["-m", "server", "serve"], self.variables | given)
        http = AsyncHTTPClient(force_instance=True)

        async def lives() -> bool:
            assert self.runs, self.output
            request = HTTPRequest(f"{self.url}/health/live", request_timeout=5)
            try:
                return (await http.fetch(request)).code == 200
            except (OSError, HTTPClientError):
                return False

        try:
            await until(lives)
        finally:
            http.close()


class Nats(Process):
    """A nats-server, always on the same port."""

    program = str(find_nats_server())

    def __init__(self, log: Path) -> None:
        super().__init__(log)
        self.port = free_port()

    async def start(self, *options: str) -> None:
        """Start it, and return once it answers."""
        await self.spawn(["--addr=127.0.0.1", f"--port={self.port}", *options], {})

        async def listens() -> bool:
            assert self.runs, self.output
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return False
            writer.close()
            return True

        await until(listens)


class Locks(Process):
    """``python -m simulator`` with some locks, whose journals outlive it."""

    def __init__(self, folder: Path, number: int, devices: Sequence[Device]) -> None:
        super().__init__(folder / f"simulator-{number}.log")
        self.journals = folder / "journals"
        self._devices = devices

    @property
    def lock_id(self) -> int:
        """The number of its first lock."""
        return self._devices[0].lock_id

    @property
    def all(self) -> Sequence[Device]:
        """All its locks."""
        return self._devices

    async def start(
        self, url: str, faults: str = "", telemetry_every_s: int = 600, **member: Any
    ) -> None:
        """Switch the locks on; ``member`` is what the fleet file says of each as well."""
        fleet = [
            {"lockId": device.lock_id, "token": device.token, **member} for device in self._devices
        ]
        options = {
            "--url": url,
            "--fleet": "-",
            "--state": str(self.journals),
            "--faults": faults,
            "--telemetry-every": str(telemetry_every_s),
            "--bolt-seconds": "0.05",
            "--reconnect-cap": "0.5",
        }
        words = [word for option in options.items() for word in option]
        await self.spawn(["-m", "simulator", *words], {}, json.dumps(fleet).encode())

    def openings(self, lock: HasLockId | None = None) -> list[str]:
        """The commands that moved a lock's bolt (the first lock's), by its journal."""
        lock_id = self.lock_id if lock is None else lock.lock_id
        lines = flash.read_lines(self.journals / f"lock-{lock_id}" / "door.jsonl")
        return [msgspec.json.decode(line, type=Opening).command_id for line in lines]


class Site(People):
    """One organisation on a server that is a process."""

    def __init__(
        self,
        server: Server,
        folder: Path,
        provisioning: Provisioning,
        org_id: str,
        api_key: str,
    ) -> None:
        super().__init__(server.url, api_key)
        self.server = server
        self._folder = folder
        self._provisioning = provisioning
        self._org_id = org_id
        self._locks: list[Locks] = []

    @classmethod
    async def build(cls, folder: Path, provisioning: Provisioning, server: Server) -> "Site":
        """Set an organisation up, on a server that may not be started yet."""
        organization = await provisioning.create_organization("Test site")
        api_key = await provisioning.issue_api_key(organization.id)
        return cls(server, folder, provisioning, organization.id, api_key)

    def neighbour(self, server: Server) -> "Site":
        """The same organisation on another server."""
        folder = self._folder / "neighbour"
        folder.mkdir()
        return Site(server, folder, self._provisioning, self._org_id, self.api_key)

    @property
    def org_id(self) -> str:
        return self._org_id

    async def close(self) -> None:
        """End every process."""
        await self.clear()
        await self.server.kill()

    async def clear(self) -> None:
        """Switch the locks off, and ask nothing more; the server runs on."""
        self.leave()
        for locks in self._locks:
            await locks.kill()

    async def locks(self, count: int = 1) -> Locks:
        """Some locks, switched off, in one process."""
        devices: list[Device] = []
        for _ in range(count):
            wanted = NewLock(name="Front door", time_zone="Europe/Rome")
            lock = await self._provisioning.create_lock(self._org_id, wanted)
            token = await self._provisioning.issue_device_token(self._org_id, lock.id)
            devices.append(Device(lock.id, token))
        locks = Locks(self._folder, len(self._locks), devices)
        self._locks.append(locks)
        return locks

    async def lock_online(self, **member: Any) -> Locks:
        """One lock, connected."""
        lock = await self.locks()
        await lock.start(self.url, **member)
        await lock.until_said("welcomed")
        return lock

    async def key(self, *locks: HasLockId, max_uses: int | None = None) -> IssuedKey:
        """A temp key for these locks, valid for an hour."""
        now = clock.now()
        body = {
            "validFrom": wire_time(now),
            "validUntil": wire_time(now + timedelta(hours=1)),
            "doors": [{"lockId": str(lock.lock_id)} for lock in locks],
            "maxUses": max_uses,
        }
        return IssuedKey((await self.manage("POST", "/temp-keys", body)).json()["uuid"])


class Town(NamedTuple):
    """One organisation on two servers."""

    here: Site
    there: Site

    async def start(self) -> None:
        """Start both servers, and return once they can reach each other."""
        await asyncio.gather(*(site.server.start() for site in self))
        await self.until_well()

    async def until_well(self) -> None:
        """Wait until both servers have all they need."""

        async def well() -> bool:
            healths = [(await site.fetch("/health")).json()["status"] for site in self]
            return healths == ["ok", "ok"]

        await until(well)
