"""Starts MongoDB, NATS, the servers and the locks, in this order, and stops them in the other."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec
from msgspec import Struct

from demo.children import Child, ChildEnded, Children, last_lines
from demo.fleet import FRONT_DOOR, demo_locks
from demo.ports import HOST, NoPort, free_ports, is_free
from demo.seed import Seeded, SeededLock, seed
from demo.server_client import ServerClient
from server import clock
from server.bus.embedded_nats import EmbeddedNats, embedded_nats
from server.settings import Settings
from server.storage.embedded_mongodb import embedded_mongodb
from simulator.fleet import FleetMember

Progress = Callable[[str], None]

_SERVER_WITHIN_S = 60.0
_LOCKS_WITHIN_S = 60.0
_LOCKS_A_SECOND = 20
"""What even a slow machine manages, with what each lock writes to its journal."""

_TOKEN_LIFE = timedelta(hours=24)


class NotReady(Exception):
    """Something started and did not get ready; the message says what."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What somebody wants to see: so many locks on so many servers, the first on that port."""

    port: int
    locks: int
    nodes: int = 1


class RunningServer(Struct, frozen=True, kw_only=True):
    """A server that takes traffic."""

    url: str
    child: Child


class Installation(Struct, frozen=True, kw_only=True):
    """A demo that runs; ``children`` says when it no longer does."""

    servers: list[RunningServer]
    mongodb_uri: str
    seeded: Seeded
    jwt: str
    front_door: Child | None
    fleets: list[Child]
    offline_after_s: float
    folder: Path
    children: Children

    @property
    def url(self) -> str:
        """Where the first server is, which the front door hangs on."""
        return self.servers[0].url


@asynccontextmanager
async def installation(
    settings: Settings, folder: Path, wanted: Wanted, progress: Progress
) -> AsyncIterator[Installation]:
    """All parts of the demo, running and connected, with their data in ``folder``.

    Raises:
        MongodbUnavailable, NatsUnavailable, NoPort, NotReady, ChildEnded: it did not start;
            nothing is left of it.
    """
    progress("starting MongoDB")
    async with (
        embedded_mongodb(folder / "mongodb") as mongodb_uri,
        _nats(folder / "nats", wanted.nodes, progress) as nats,
        Children() as children,
    ):
        children.watch("MongoDB", _hang_up(mongodb_uri), folder / "mongodb" / "mongod.log")
        if nats is not None:
            children.watch("NATS", nats.until_ended(), folder / "nats" / "nats.log")
        progress(f"preparing {_count(wanted.locks)}")
        seeded = await children.until(
            seed(
                mongodb_uri,
                settings.mongodb_database,
                demo_locks(wanted.locks),
                folder / "credentials.json",
            )
        )
        addresses = {"LATCHKEY_MONGODB_URI": mongodb_uri}
        if nats is not None:
            addresses["LATCHKEY_NATS_URL"] = nats.url
        starter = _Starter(folder, children, progress, addresses, seeded)
        servers = await starter.start_servers(wanted)
        front_door, fleets = await starter.start_locks([server.url for server in servers])
        yield Installation(
            servers=servers,
            mongodb_uri=mongodb_uri,
            seeded=seeded,
            jwt=_token(settings, seeded),
            front_door=front_door,
            fleets=fleets,
            offline_after_s=settings.offline_after_s,
            folder=folder,
            children=children,
        )


class _Starter:
    """Starts the children of one installation and waits until they are of use.

    ``addresses`` are the settings that say where MongoDB and NATS are.
    """

    def __init__(
        self,
        folder: Path,
        children: Children,
        progress: Progress,
        addresses: Mapping[str, str],
        seeded: Seeded,
    ) -> None:
        self._folder = folder
        self._children = children
        self._progress = progress
        self._addresses = addresses
        self._seeded = seeded

    async def start_servers(self, wanted: Wanted) -> list[RunningServer]:
        """Start the servers, each on the first port that it gets behind that of the one before."""
        servers: list[RunningServer] = []
        port = wanted.port
        for number in range(1, wanted.nodes + 1):
            name = "server" if number == 1 else f"server {number}"
            server, port = await self._start_server(name, port)
            servers.append(server)
            port = port + 1 if wanted.port else 0
        return servers

    async def _start_server(self, name: str, first_port: int) -> tuple[RunningServer, int]:
        self._progress(f"starting the {name}")
        for port in free_ports(first_port):
            if port != first_port != 0:
                self._progress(f"port {first_port} is taken, so it is {port}")
            url = f"http://{HOST}:{port}"
            server = await self._children.start(
                f"the {name}",
                ["server", "serve"],
                self._folder / f"{name.replace(' ', '-')}.log",
                env=self._environment(port),
            )
            try:
                await self._within(
                    _SERVER_WITHIN_S,
                    ServerClient(url, self._seeded.api_key).until_ready(),
                    "the server was not ready",
                )
            except ChildEnded as ended:
                if ended.child is server and not is_free(port):
                    await self._children.stop(server)
                    continue  # somebody else was quicker to take the port
                raise
            return RunningServer(url=url, child=server), port
        raise NoPort("No port stayed free for the server.")

    async def start_locks(self, urls: Sequence[str]) -> tuple[Child | None, list[Child]]:
        """Start the front door in a process of its own, so that it can be paused, and the rest.

        The front door connects to the first server, the others to all in turn.
        """
        present = [lock for lock in self._seeded.locks if not lock.about.stays_offline]
        if not present:
            return None, []
        self._progress(f"connecting {_count(len(present))}")
        front = [lock for lock in present if lock.about is FRONT_DOOR]
        others = [lock for lock in present if lock.about is not FRONT_DOOR]
        front_door = await self._start_fleet("the front door", "front-door.log", urls[0], front)
        fleets: list[Child] = []
        limit_s = _LOCKS_WITHIN_S + len(present) / _LOCKS_A_SECOND
        for number, url in enumerate(urls):
            theirs = others[number :: len(urls)]
            name = "fleet" if number == 0 else f"fleet {number + 1}"
            log = f"{name.replace(' ', '-')}.log"
            fleet = await self._start_fleet(f"the {name}", log, url, theirs)
            if fleet is not None:
                fleets.append(fleet)
            here = {lock.id for lock in (theirs if number else [*front, *theirs])}
            client = ServerClient(url, self._seeded.api_key)
            await self._within(limit_s, client.until_online(here), "not all locks were online")
        return front_door, fleets

    async def _start_fleet(
        self, name: str, log: str, url: str, locks: Sequence[SeededLock]
    ) -> Child | None:
        if not locks:
            return None
        journals = self._folder / "journals"
        journals.mkdir(mode=0o700, exist_ok=True)
        return await self._children.start(
            name,
            ["simulator", f"--url={url}", "--fleet=-", f"--state={journals}"],
            self._folder / log,
            stdin=msgspec.json.encode([_member(lock) for lock in locks]),
        )

    async def _within(
        self, limit_s: float, wanted: Coroutine[Any, Any, None], complaint: str
    ) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._children.until(wanted)
        except TimeoutError:
            raise NotReady(
                f"{complaint} within {limit_s:.0f} s." + last_lines(self._folder / "server.log")
            ) from None

    def _environment(self, port: int) -> dict[str, str]:
        """The user's own settings, but for those that make the server the demo's."""
        ours = {
            "LATCHKEY_ADDRESS": HOST,
            "LATCHKEY_PORT": str(port),
            **self._addresses,
            "LATCHKEY_JWT_SECRET": self._seeded.credentials.jwt_secret,
            "LATCHKEY_PIN_SECRET": self._seeded.credentials.pin_secret,
            "LATCHKEY_WEBHOOK_SECRET": self._seeded.credentials.webhook_secret,
            "LATCHKEY_WEBHOOK_LOOPBACK": "true",
        }
        # A variable may name a file instead, which would win over ours.
        theirs = {k: v for k, v in os.environ.items() if k.removesuffix("_FILE") not in ours}
        return {**theirs, **ours}


def _member(lock: SeededLock) -> FleetMember:
    return FleetMember(
        lock_id=lock.id,
        token=lock.token,
        name=lock.about.name,
        battery=lock.about.battery,
        jammed=lock.about.jammed,
    )


def _token(settings: Settings, seeded: Seeded) -> str:
    """An operator's JSON Web Token, as an identity provider would issue it."""
    now = clock.now()
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": "demo-operator",
        "orgId": seeded.organization.id,
        "iat": now,
        "exp": now + _TOKEN_LIFE,
    }
    return jwt.encode(claims, seeded.credentials.jwt_secret, algorithm="HS256")


def _count(locks: int) -> str:
    return {0: "no locks", 1: "one lock"}.get(locks, f"{locks} locks")


@asynccontextmanager
async def _nats(folder: Path, nodes: int, progress: Progress) -> AsyncIterator[EmbeddedNats | None]:
    """A NATS, where more than one server needs it."""
    if nodes == 1:
        yield None
        return
    progress("starting NATS")
    async with embedded_nats(folder) as nats:
        yield nats


async def _hang_up(mongodb_uri: str) -> str:
    """Return when MongoDB is gone: a connection that says nothing ends when its server does."""
    parts = urlsplit(mongodb_uri)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        with suppress(ConnectionError):
            await reader.read()
    finally:
        writer.close()
    return "it hung up"
