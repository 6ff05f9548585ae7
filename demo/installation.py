"""Starts MongoDB, the server and the locks, in this order, and stops them in the other."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
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


class Installation(Struct, frozen=True, kw_only=True):
    """A demo that runs; ``children`` says when it no longer does."""

    url: str
    mongodb_uri: str
    seeded: Seeded
    jwt: str
    server: Child
    front_door: Child | None
    fleet: Child | None
    offline_after_s: float
    folder: Path
    children: Children


@asynccontextmanager
async def installation(
    settings: Settings, folder: Path, port: int, locks: int, progress: Progress
) -> AsyncIterator[Installation]:
    """All parts of the demo, running and connected, with their data in ``folder``.

    Raises:
        MongodbUnavailable, NoPort, NotReady, ChildEnded: it did not start; nothing is left of it.
    """
    progress("starting MongoDB")
    async with embedded_mongodb(folder / "mongodb") as mongodb_uri, Children() as children:
        children.watch("MongoDB", _hang_up(mongodb_uri), folder / "mongodb" / "mongod.log")
        progress(f"preparing {_count(locks)}")
        seeded = await children.until(
            seed(
                mongodb_uri,
                settings.mongodb_database,
                demo_locks(locks),
                folder / "credentials.json",
            )
        )
        starter = _Starter(settings, folder, children, progress, mongodb_uri, seeded)
        server, url = await starter.start_server(port)
        front_door, fleet = await starter.start_locks(url)
        yield Installation(
            url=url,
            mongodb_uri=mongodb_uri,
            seeded=seeded,
            jwt=_token(settings, seeded),
            server=server,
            front_door=front_door,
            fleet=fleet,
            offline_after_s=settings.offline_after_s,
            folder=folder,
            children=children,
        )


class _Starter:
    """Starts the children of one installation and waits until they are of use."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        children: Children,
        progress: Progress,
        mongodb_uri: str,
        seeded: Seeded,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._children = children
        self._progress = progress
        self._mongodb_uri = mongodb_uri
        self._seeded = seeded

    async def start_server(self, first_port: int) -> tuple[Child, str]:
        """Start the server on the first port from ``first_port`` that it gets."""
        self._progress("starting the server")
        for port in free_ports(first_port):
            if port != first_port != 0:
                self._progress(f"port {first_port} is taken, so it is {port}")
            url = f"http://{HOST}:{port}"
            server = await self._children.start(
                "the server",
                ["server", "serve"],
                self._folder / "server.log",
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
            return server, url
        raise NoPort("No port stayed free for the server.")

    async def start_locks(self, url: str) -> tuple[Child | None, Child | None]:
        """Start the front door in a process of its own, so that it can be paused, and the rest."""
        present = [lock for lock in self._seeded.locks if not lock.about.stays_offline]
        if not present:
            return None, None
        self._progress(f"connecting {_count(len(present))}")
        front = [lock for lock in present if lock.about is FRONT_DOOR]
        others = [lock for lock in present if lock.about is not FRONT_DOOR]
        front_door = await self._start_fleet("the front door", "front-door.log", url, front)
        fleet = await self._start_fleet("the fleet", "fleet.log", url, others)
        await self._within(
            _LOCKS_WITHIN_S + len(present) / _LOCKS_A_SECOND,
            ServerClient(url, self._seeded.api_key).until_online({lock.id for lock in present}),
            "not all locks were online",
        )
        return front_door, fleet

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
            "LATCHKEY_MONGODB_URI": self._mongodb_uri,
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
