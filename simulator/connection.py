"""One connection of a lock: the socket around ``lock.Lock``.

Three tasks share it: one reads, one writes, one watches that the server is
still there. When the first of them ends, the connection is over.
"""

import asyncio
import contextlib
import logging
from random import Random
from typing import cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from server.domain.errors import ProtocolError
from server.domain.protocol import (
    MAX_FRAME_BYTES,
    SUBPROTOCOL,
    Batch,
    Event,
    LockFrame,
    Result,
    Telemetry,
    decode_server_frame,
    encode_frame,
)
from simulator.backoff import Ending
from simulator.faults import Faults
from simulator.lock import Lock, NumberingLost
from simulator.notifier import Notifier

OPEN_TIMEOUT_S = 10.0
WELCOME_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 1.0

_log = logging.getLogger(__name__)

_wire_log = logging.getLogger("simulator.wire")
_wire_log.setLevel(logging.WARNING)  # below that, websockets would log the device token


class _Socket(ClientConnection):
    """A client connection that knows when it last heard anything from the server.

    Any byte counts, so a ping does, which is what an idle server sends.
    """

    heard_at = 0.0

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)


class Connection:
    """Connects once, serves the lock until the connection ends, and says how it ended."""

    def __init__(
        self,
        lock: Lock,
        uri: str,
        token: str,
        label: str,
        notifier: Notifier,
        faults: Faults,
        random: Random,
        frame_interval_s: float,
    ) -> None:
        self._lock = lock
        self._uri = uri
        self._token = token
        self._label = label
        self._notifier = notifier
        self._faults = faults
        self._random = random
        self._frame_interval_s = frame_interval_s
        self._socket: _Socket | None = None
        self._awake = asyncio.Event()
        self._awake.set()
        self._welcomed_at: float | None = None
        self._own_reason = ""
        self.is_cut = False

    async def run(self) -> Ending:
        """Live one connection. Never raises for what a server or a network does.

        Cancelling it drops the connection without a goodbye.
        """
        try:
            socket = await self._connect()
        except InvalidStatus as error:
            response = error.response
            return Ending(
                http_status=response.status_code,
                retry_after=response.headers.get("Retry-After", ""),
            )
        except (OSError, TimeoutError, InvalidHandshake) as error:
            return Ending(reason=f"{type(error).__name__}: {error}"[:200])
        self._socket = socket
        try:
            if not self.is_cut:
                await self._serve(socket)
        finally:
            socket.transport.abort()  # nothing is left of it, however it ended
            self._socket = None
            code = None if self.is_cut else socket.close_code
            said_by_server = socket.protocol.close_rcvd_then_sent
            self._lock.disconnected(code if said_by_server else None)
        loop = asyncio.get_running_loop()
        lasted_s = 0.0 if self._welcomed_at is None else loop.time() - self._welcomed_at
        reason = self._own_reason or socket.close_reason or ""
        return Ending(code=code or 1006, reason=reason, lasted_s=lasted_s)

    async def close(self) -> None:
        """Say goodbye (1000) and wait for the answer, a second at most."""
        if self._socket is not None:
            self._own_reason = "closed by the lock"
            await _say_goodbye(self._socket, 1000, "going to sleep")

    def cut(self) -> None:
        """Drop the connection at once, without a goodbye."""
        self.is_cut = True
        self._own_reason = self._own_reason or "cut by the lock"
        if self._socket is not None:
            self._socket.transport.abort()

    async def _connect(self) -> _Socket:
        connected = connect(
            self._uri,
            additional_headers={"Authorization": f"Bearer {self._token}"},
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            max_size=MAX_FRAME_BYTES,
            proxy=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the server pings; _watch notices when it stops
            logger=_wire_log,
            create_connection=_Socket,
        )
        return cast(_Socket, await connected)  # because create_connection says so

    async def _serve(self, socket: _Socket) -> None:
        if socket.subprotocol != SUBPROTOCOL:
            self._own_reason = f"the server does not speak {SUBPROTOCOL}"
            await _say_goodbye(socket, 1002, "no common subprotocol")
            return
        tasks = [
            asyncio.create_task(work(socket)) for work in (self._read, self._write, self._watch)
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, ConnectionClosed):
                raise outcome

    async def _read(self, socket: _Socket) -> None:
        while True:
            message = await socket.recv()
            if self._drops():
                return
            await self._maybe_stall(socket)
            try:
                self._lock.receive(decode_server_frame(message))
            except ProtocolError as error:
                self._own_reason = f"the server broke the protocol: {error}"
                await _say_goodbye(socket, 1002, "not understood")
                return
            except NumberingLost as error:
                self._own_reason = f"a new epoch begins: {error}"
                await _say_goodbye(socket, 1000, "a new epoch begins")
                return
            except OSError as error:
                self._own_reason = f"flash does not work: {error}"
                await _say_goodbye(socket, 1000, "out of order")
                return
            if self._welcomed_at is None and self._lock.session_id is not None:
                self._welcomed_at = asyncio.get_running_loop().time()
                _log.info("%s: welcomed, session %s", self._label, self._lock.session_id)

    async def _write(self, socket: _Socket) -> None:
        await socket.send(encode_frame(self._lock.hello()))
        while True:
            await self._awake.wait()
            frame = self._lock.next_frame()
            if frame is None:
                await self._notifier.change()
                continue
            if self._drops():
                return
            await self._send(socket, frame)
            if self._frame_interval_s:
                await asyncio.sleep(self._frame_interval_s)

    async def _send(self, socket: _Socket, frame: LockFrame) -> None:
        if isinstance(frame, Result) and self._happens(self._faults.lose_result):
            return
        text = encode_frame(frame)
        await socket.send(text)
        repeatable = isinstance(frame, Result | Telemetry | Event | Batch)
        if repeatable and self._happens(self._faults.duplicate):
            await socket.send(text)

    async def _watch(self, socket: _Socket) -> None:
        """Return when the server has been silent for too long.

        A server that pings is heard every ``heartbeatSeconds``. One that was
        not heard for ``offlineAfterSeconds`` has given this lock up, or is gone;
        a TCP connection alone would not notice for many minutes.
        """
        loop = asyncio.get_running_loop()
        opened_at = loop.time()
        socket.heard_at = opened_at
        while True:
            welcome = self._lock.welcome
            if welcome is None:
                heard_at, limit_s = opened_at, WELCOME_TIMEOUT_S
            else:
                heard_at, limit_s = socket.heard_at, max(1.0, welcome.offline_after_seconds)
            await self._awake.wait()
            left_s = heard_at + limit_s - loop.time()
            if left_s <= 0:
                missing = "no welcome" if welcome is None else "nothing heard"
                self._own_reason = f"{missing} for {limit_s:g} s"
                self.cut()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._notifier.change()

    # Faults.

    def _happens(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance

    def _drops(self) -> bool:
        if not self._happens(self._faults.drop):
            return False
        self._own_reason = "fault: dropped"
        self.cut()
        return True

    async def _maybe_stall(self, socket: _Socket) -> None:
        """Freeze: what arrives stays in the socket's buffer, pings stay unanswered."""
        if not self._happens(self._faults.stall):
            return
        _log.info("%s: fault: stalled for %g s", self._label, self._faults.stall_s)
        self._awake.clear()
        socket.transport.pause_reading()
        try:
            await asyncio.sleep(self._faults.stall_s)
        finally:
            socket.transport.resume_reading()
            socket.heard_at = asyncio.get_running_loop().time()
            self._awake.set()


async def _say_goodbye(socket: _Socket, code: int, reason: str) -> None:
    """Close, waiting for the server's answer and for what is still to be written, but not long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_TIMEOUT_S + 0.5):
            await socket.close(code, reason)
