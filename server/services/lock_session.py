"""One live connection of one lock: its frames in both directions. There is no socket in here."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import assert_never

import structlog
from msgspec import Struct

from server import clock
from server.domain.commands import OpenCommand
from server.domain.errors import (
    ChannelClosed,
    LockOffline,
    ProtocolError,
    StorageUnavailable,
)
from server.domain.locks import LivenessPolicy, Lock, StoredKey
from server.domain.protocol import (
    Batch,
    CloseCode,
    Error,
    Event,
    Hello,
    KeyAction,
    LockFrame,
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
from server.domain.rates import Rate, TokenBucket
from server.domain.times import wire_time
from server.services.channel import Channel
from server.services.heartbeat import Heartbeat
from server.services.metrics import Metrics
from server.services.outcomes import Outcomes
from server.services.session_commands import SessionCommands
from server.services.session_keys import SessionKeys
from server.services.session_reports import SessionReports
from server.services.session_results import SessionResults
from server.services.telemetry import TelemetryWriter
from server.storage.command_store import CommandStore

log = structlog.get_logger(__name__)

_MOST_AFTER_THE_END = 200
"""How many frames may still come while a lock hears that its connection is closed."""

_COME_BACK_WITHIN_S = 10


class SessionParts(Struct, frozen=True, kw_only=True):
    """What every session works with."""

    attach: "Callable[[LockSession, Hello], Awaitable[Lock]]"
    serve: "Callable[[LockSession], Awaitable[None]]"
    holds: "Callable[[LockSession], Awaitable[bool]]"
    silent: "Callable[[LockSession], None]"
    commands: CommandStore
    outcomes: Outcomes
    telemetry: TelemetryWriter
    liveness: LivenessPolicy
    hello_within_s: float
    frames: Rate
    metrics: Metrics


class LockSession:
    """One authenticated connection of a lock, from its socket's opening to its end."""

    def __init__(self, lock: Lock, channel: Channel, parts: SessionParts) -> None:
        self.id = secrets.token_hex(12)
        self.lock = lock
        self.last_seen_at = clock.now()
        self._channel = channel
        self._parts = parts
        self._hello: Hello | None = None
        self._is_greeted = False
        self._ended = False
        self._ended_by = "lock"
        self._frames = 0
        self._commands = SessionCommands(
            self.id, lock, channel, parts.commands, parts.outcomes, self._holds
        )
        self._keys = SessionKeys(self.id, lock.id, channel)
        self._results = SessionResults(self.id, lock.id, self._commands, self._keys, self._send)
        self._reports = SessionReports(channel, parts.telemetry)
        self._liveness = parts.liveness.of(lock)
        self._heartbeat = Heartbeat(self._liveness, channel.ping, self._cut_silent)
        self._loop = asyncio.get_running_loop()
        self._pace = TokenBucket(parts.frames, self._loop.time())
        self._after_the_end = 0
        self._began = self._loop.time()
        self._hello_timer = self._loop.call_later(
            parts.hello_within_s, self.close, CloseCode.NO_HELLO, "no hello in time"
        )

    # The lock's side

    def heard(self) -> None:
        """Note a sign of life: a ping, a pong or a fragment. They count as frames, too."""
        self._counts()

    async def receive(self, message: str | bytes) -> None:
        """Take one frame of the lock; one that breaks the protocol closes the connection.

        Waits for storage, never for the lock: the next frame is read when this returns.
        """
        if not self._counts():
            return
        began = self._loop.time()
        with self._heartbeat.deaf():
            try:
                await self._take(decode_lock_frame(message))
            except ProtocolError as error:
                self._break_off(error.close_code, error.code, str(error))
            except StorageUnavailable as error:
                log.warning("frame_waits_for_storage", lock=self.lock.id, session=self.id)
                self._send(Error(code=error.reason, message="not stored: send it again"))
        # What has piled up while we did not read is not the lock's haste.
        self._pace.add(self._loop.time() - began)

    def _counts(self) -> bool:
        """Whether what just came from the lock counts: it does until the end, within its rate."""
        if self._ended:
            self._after_the_end += 1
            if self._after_the_end > _MOST_AFTER_THE_END:
                self._channel.drop()
            return False
        self._heartbeat.heard()
        self._frames += 1
        self.last_seen_at = clock.now()
        if not self._pace.take(self._loop.time()):
            self._break_off(CloseCode.TOO_MANY_FRAMES, "too_many_frames", "slow down")
            return False
        return True

    def _break_off(self, close_code: int, code: str, message: str) -> None:
        log.info("protocol_error", lock=self.lock.id, session=self.id, code=code)
        self._parts.metrics.protocol_broken(code)
        self._send(Error(code=code, message=message[:500]))
        self.close(close_code, code)

    async def _take(self, frame: LockFrame | UnknownFrame) -> None:
        match frame:
            case UnknownFrame():
                self._send(Error(code="unknown_type", message=f"unknown type {frame.type!r}"))
            case TimeRequest():
                self._send(Time(t=frame.t, server_time=wire_time(clock.now())))
            case Hello():
                await self._greet(frame)
            case Telemetry() | Event():
                await self._store([frame], fresh=self._reports.is_fresh(frame.seq))
            case Batch():
                await self._store(frame.reports, fresh=False)
            case Result():
                self._check_greeted()
                await self._results.take(frame)
            case _:
                assert_never(frame)

    async def _greet(self, hello: Hello) -> None:
        if self._hello is not None:
            raise ProtocolError(CloseCode.BROKEN_FRAME, "second_hello", "hello was said already")
        self._hello_timer.cancel()
        self._hello = hello
        try:
            self.lock = await self._parts.attach(self, hello)
        except StorageUnavailable:
            wait_s = secrets.randbelow(_COME_BACK_WITHIN_S) + 2
            self.close(CloseCode.TRY_AGAIN_LATER, f"try again in {wait_s} s")
            raise
        if self._ended:
            return
        self._commands.lock = self.lock
        self._keys.greeted(hello.capabilities)
        self._reports.greeted(hello, self.lock.acked_seq(hello.epoch))
        policy = self._liveness
        self._send(
            Welcome(
                session_id=self.id,
                server_time=wire_time(clock.now()),
                heartbeat_seconds=policy.heartbeat_s,
                offline_after_seconds=policy.offline_after_s,
                acked_seq=self._reports.acked_seq,
            )
        )
        self._is_greeted = True
        await self._parts.serve(self)
        for command in await self._parts.commands.waiting_for(self.lock.id, clock.now()):
            with suppress(LockOffline):  # superseded: the other session looks for it as well
                await self.open(command)

    def _check_greeted(self) -> None:
        if self._hello is None:
            raise ProtocolError(CloseCode.BROKEN_FRAME, "no_hello", "say hello first")

    async def _store(self, reports: list[Report], *, fresh: bool) -> None:
        self._check_greeted()
        received_at = clock.now()
        self._reports.received(reports)
        await self._results.take_openings(reports)
        await self._reports.store(self.lock, reports, received_at, fresh=fresh)

    # The server's side

    async def open(self, command: OpenCommand) -> OpenCommand:
        """Take a command to the lock; see ``SessionCommands.open``."""
        return await self._commands.open(command)

    async def wait_until_idle(self, within_s: float) -> None:
        """Wait for the lock's answer; see ``SessionCommands.wait_until_idle``."""
        await self._commands.wait_until_idle(within_s)

    async def open_stored(self, command_id: str) -> None:
        """Take a command to the lock that another node has stored.

        Raises:
            CommandNotFound: it has not.
            LockOffline, StorageUnavailable: as ``SessionCommands.open``.
        """
        await self.open(await self._parts.commands.find(command_id))

    def send_key(self, action: KeyAction, key: StoredKey) -> None:
        """Tell the lock of a physical key; see ``SessionKeys.send``."""
        self._keys.send(action, key)

    def refresh(self, lock: Lock) -> None:
        """Go on with the lock as it is stored now."""
        self.lock = self._commands.lock = lock

    async def _holds(self) -> bool:
        return await self._parts.holds(self)

    # The end

    def close(self, code: int, reason: str) -> None:
        """Close the connection for a reason that the lock is told."""
        if not self._ended:
            self._ended_by = reason
        self.end()
        self._channel.close(code, reason)

    def log_end(self) -> None:
        """Write the one line that sums the session up."""
        log.info(
            "session",
            lock=self.lock.id,
            session=self.id,
            seconds=round(self._loop.time() - self._began, 1),
            frames=self._frames,
            welcomed=self._is_greeted,
            ended_by=self._ended_by,
        )

    def end(self) -> None:
        """The connection is over: nothing that still arrives on it counts."""
        self._ended = True
        self._heartbeat.stop()
        self._hello_timer.cancel()

    @property
    def is_greeted(self) -> bool:
        """Whether its lock was welcomed."""
        return self._is_greeted

    @property
    def ended(self) -> bool:
        return self._ended

    def _cut_silent(self) -> None:
        bound_s = self._liveness.offline_after_s
        self._parts.metrics.silence_noticed(self._heartbeat.silent_for_s, bound_s)
        self._ended_by = "silence"
        self.end()
        self._parts.silent(self)
        self._channel.drop()

    def _send(self, frame: ServerFrame) -> None:
        try:
            self._channel.send(encode_frame(frame))
        except ChannelClosed:
            return  # the lock hears it, or its equivalent, in its next session
