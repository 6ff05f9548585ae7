"""The server's side of the protocol, small and obedient, for a lock to talk to."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from server.domain.protocol import (
    SUBPROTOCOL,
    Ack,
    Batch,
    Command,
    Event,
    Hello,
    Report,
    Result,
    ServerFrame,
    Telemetry,
    Time,
    TimeRequest,
    UnknownFrame,
    Welcome,
    decode_lock_frame,
    encode_frame,
)
from server.domain.times import wire_time
from simulator.notifier import Notifier

TIMEOUT_S = 10
_quiet = logging.getLogger("tests.lock_server")
_quiet.setLevel(logging.WARNING)
TOKEN = "a-token-that-nobody-may-read"


def now() -> datetime:
    return datetime.now(UTC)


class LockSession:
    """One connection of a lock, after its welcome."""

    def __init__(self, socket: ServerConnection, hello: Hello, number: int) -> None:
        self.id = f"s-{number}"
        self.hello = hello
        self.socket = socket
        self.results: asyncio.Queue[Result] = asyncio.Queue()

    async def send(self, frame: ServerFrame) -> None:
        await self.socket.send(encode_frame(frame))

    async def command(
        self, id: str = "c-1", life_s: float = 8, session_id: str | None = None
    ) -> Command:
        """Send a command; what was sent."""
        command = Command(
            id=id,
            session_id=session_id or self.id,
            issued_at=wire_time(now()),
            expires_at=wire_time(now() + timedelta(seconds=life_s)),
            open_for_seconds=5,
            action="open",
        )
        await self.send(command)
        return command

    async def result(self) -> tuple[str, str, str | None]:
        """The next result: command, status, reason."""
        async with asyncio.timeout(TIMEOUT_S):
            result = await self.results.get()
        return result.command_id, result.status.value, result.reason


class LockServer:
    """Welcomes locks, stores and acknowledges their reports, and does what a test tells it."""

    def __init__(self) -> None:
        self.port = 0
        self.refuse_with: tuple[HTTPStatus, dict[str, str]] | None = None
        self.welcomes = True
        self.subprotocols = [Subprotocol(SUBPROTOCOL)]
        self.acknowledges = True
        self.pings_every_s: float | None = 1.0
        self.offline_after_s = 45.0
        self.credentials: list[str] = []
        self.paths: list[str] = []
        self.extensions: list[str] = []
        self.stored: dict[tuple[str, int], Report] = {}
        self.received = 0
        self._requests: asyncio.Queue[str] = asyncio.Queue()
        self._sessions: asyncio.Queue[LockSession] = asyncio.Queue()
        self._changed = Notifier()
        self._count = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def request(self) -> str:
        """The path of the next request, welcome or not."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self._requests.get()

    async def session(self) -> LockSession:
        """The next session that was welcomed."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self._sessions.get()

    async def stored_reports(self, count: int) -> None:
        """Wait until at least so many different reports have come."""
        await self._changed.until(lambda: len(self.stored) >= count, TIMEOUT_S)

    def values(self, name: str) -> list[object]:
        """What the stored readings say of one measurement, in order of their numbers."""
        readings = (report for _, report in sorted(self.stored.items(), key=lambda item: item[0]))
        return [getattr(r, name) for r in readings if isinstance(r, Telemetry)]

    def events(self) -> list[str]:
        return [r.event.value for r in self.stored.values() if isinstance(r, Event)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["LockServer"]:
        async with serve(
            self._serve,
            "127.0.0.1",
            self.port,
            subprotocols=self.subprotocols or None,
            process_request=self._admit,
            ping_interval=self.pings_every_s,
            ping_timeout=None,
            close_timeout=1,
            logger=_quiet,
        ) as server:
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield self

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self._requests.put_nowait(request.path)
        self.credentials.append(request.headers.get("Authorization", ""))
        self.extensions += request.headers.get_all("Sec-WebSocket-Extensions")
        if self.refuse_with is None:
            return None
        status, headers = self.refuse_with
        response = connection.respond(status, "no\n")
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def _serve(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            hello = decode_lock_frame(await socket.recv())
            assert isinstance(hello, Hello)
            if not self.welcomes:
                await socket.wait_closed()
                return
            self._count += 1
            session = LockSession(socket, hello, self._count)
            stored = [seq for epoch, seq in self.stored if epoch == hello.epoch]
            await session.send(
                Welcome(
                    session_id=session.id,
                    server_time=wire_time(now()),
                    heartbeat_seconds=20,
                    offline_after_seconds=self.offline_after_s,
                    acked_seq=max(stored, default=0) if self.acknowledges else 0,
                )
            )
            self._sessions.put_nowait(session)
            while True:
                await self._take(session, decode_lock_frame(await socket.recv()))

    async def _take(self, session: LockSession, frame: object) -> None:
        match frame:
            case Telemetry() | Event():
                await self._store(session, [frame])
            case Batch():
                await self._store(session, frame.reports)
            case Result():
                session.results.put_nowait(frame)
            case TimeRequest():
                await session.send(Time(t=frame.t, server_time=wire_time(now())))
            case UnknownFrame() | _:
                raise AssertionError(f"a lock does not send {frame}")

    async def _store(self, session: LockSession, reports: list[Report]) -> None:
        self.received += len(reports)
        for report in reports:
            self.stored.setdefault((session.hello.epoch, report.seq), report)
        self._changed.notify()
        if self.acknowledges:
            await session.send(Ack(seq=reports[-1].seq))
