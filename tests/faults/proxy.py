"""A TCP proxy that can be told to be a bad network."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

_CHUNK = 64 * 1024

_ACCEPTED_S = 0.02
"""How long what the listener has just accepted takes to come in, so that it can be cut."""

Address = tuple[str, int]
"""A host and a port."""


def mongodb_command(name: str, collection: str) -> bytes:
    """How a command of MongoDB's begins on the wire (BSON): for ``Way.stall_at``."""
    value = collection.encode() + b"\0"
    return b"\x02" + name.encode() + b"\0" + len(value).to_bytes(4, "little") + value


class Way:
    """One direction through the proxy."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        """How long each piece is held up."""
        self.dropping = False
        """Whether what comes is thrown away."""
        self.sprung = asyncio.Event()
        """Set once the pattern of ``stall_at`` has come."""
        self.repeated = b""
        """What ``repeat`` has passed on, as often as it did."""
        self._to_repeat: tuple[bytes, int] | None = None
        self._pushed_in = b""
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._trap: bytes | None = None

    def stall(self) -> None:
        """Keep what comes from now on, until ``flow``."""
        self._flowing.clear()

    def stall_at(self, pattern: bytes) -> None:
        """Stall at the first piece that contains ``pattern``, which is kept as well."""
        self._trap = pattern
        self.sprung.clear()

    def flow(self) -> None:
        """Pass everything on again, beginning with what was kept."""
        self._trap = None
        self._flowing.set()

    def repeat(self, pattern: bytes, times: int) -> None:
        """Pass the first piece that contains ``pattern`` on so many times."""
        self._to_repeat = pattern, times

    def push_in(self, piece: bytes) -> None:
        """Pass this on as well, in front of what comes next."""
        self._pushed_in = piece

    async def pass_on(self, piece: bytes) -> bytes:
        """Wait until a piece may go on; what becomes of it, which is nothing where it is lost."""
        if self._trap is not None and self._trap in piece:
            self._trap = None
            self.stall()
            self.sprung.set()
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._flowing.wait()
        if self._to_repeat is not None and self._to_repeat[0] in piece:
            _, times = self._to_repeat
            self._to_repeat = None
            piece = self.repeated = piece * times
        piece, self._pushed_in = self._pushed_in + piece, b""
        return b"" if self.dropping else piece


class Proxy:
    """Stands in front of one server, or of several that do the same; see ``in_front_of``."""

    def __init__(self, servers: Sequence[Address]) -> None:
        self._servers = servers
        self._listener: asyncio.Server | None = None
        self._letting_in = False
        self._connections: set[asyncio.Task[None]] = set()
        self.port = 0
        """Where it listens, on 127.0.0.1."""
        self.to_server = Way()
        self.to_client = Way()

    async def let_in(self) -> None:
        """Accept connections, again."""
        self._letting_in = True
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def keep_out(self) -> None:
        """Refuse connections, and cut those that there are."""
        self._letting_in = False
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await self.cut()
        await asyncio.sleep(_ACCEPTED_S)
        await self.cut()

    async def cut(self) -> None:
        """Cut all connections; what was kept of them is lost."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await asyncio.sleep(0)  # in which the loop closes the sockets

    def stall(self) -> None:
        """Keep everything, both ways."""
        self.to_server.stall()
        self.to_client.stall()

    def flow(self) -> None:
        """Pass everything on again, both ways."""
        self.to_server.flow()
        self.to_client.flow()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._letting_in:
            writer.transport.abort()
            return
        connection = asyncio.create_task(self._connect(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # A task that is cancelled before its first step never comes to its ``finally``.
        connection.add_done_callback(lambda _: writer.transport.abort())

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_writer: asyncio.StreamWriter | None = None
        try:
            far_reader, far_writer = await self._reach_a_server()
            pipes = [
                asyncio.create_task(_pipe(reader, far_writer, self.to_server)),
                asyncio.create_task(_pipe(far_reader, writer, self.to_client)),
            ]
            try:
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pipe in pipes:
                    pipe.cancel()
                await asyncio.gather(*pipes, return_exceptions=True)
        except OSError:
            pass  # the far side is away: the near side sees its connection end
        finally:
            if far_writer is not None:
                far_writer.transport.abort()

    async def _reach_a_server(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to one of the servers that can be reached."""
        first, *others = random.sample(self._servers, len(self._servers))
        for host, port in others:
            with suppress(OSError):
                return await asyncio.open_connection(host, port)
        return await asyncio.open_connection(*first)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
    with suppress(OSError):
        while piece := await reader.read(_CHUNK):
            writer.write(await way.pass_on(piece))
            await writer.drain()


@asynccontextmanager
async def in_front_of(*servers: Address) -> AsyncIterator[Proxy]:
    """A proxy in front of the server at that address, or of whichever of several can be reached."""
    proxy = Proxy(servers)
    await proxy.let_in()
    try:
        yield proxy
    finally:
        await proxy.keep_out()
