"""Which locks are connected to this node: attaching, superseding, detaching, and presence."""

import asyncio
from datetime import datetime

import structlog
from msgspec import Struct

from server import clock
from server.bus.base import Bus
from server.domain.errors import LockOffline, StorageUnavailable
from server.domain.locks import Connection, LivenessPolicy, Lock, OfflineReason, StoredKey
from server.domain.protocol import CloseCode, Hello, KeyAction
from server.domain.rates import Rate
from server.services.channel import Channel
from server.services.lock_session import LockSession, SessionParts
from server.services.outcomes import Outcomes
from server.services.tasks import Tasks
from server.services.telemetry import TelemetryWriter
from server.storage.command_store import CommandStore
from server.storage.lock_store import LockStore

log = structlog.get_logger(__name__)

_DRAIN_POLL_S = 0.02
_DETACH_RETRY_S = (0.2, 0.5, 1, 2, 5, 5, 5, 5)


class SessionLimits(Struct, frozen=True, kw_only=True):
    """What a connection is held to."""

    liveness: LivenessPolicy
    hello_within_s: float
    frames: Rate


class Farewell(Struct, frozen=True, kw_only=True):
    """How the locks are sent away: so many a second, faster where ``window_s`` is too short.

    ``openings_within_s`` is how long openings in flight may take, ``recorded_within_s`` how
    long it may take to record that the locks are offline.
    """

    a_second: float
    window_s: float
    openings_within_s: float = 10.0
    recorded_within_s: float = 5.0


class Sessions:
    """The live sessions of this node, at most one per lock."""

    def __init__(
        self,
        node_id: str,
        locks: LockStore,
        commands: CommandStore,
        outcomes: Outcomes,
        telemetry: TelemetryWriter,
        bus: Bus,
        limits: SessionLimits,
    ) -> None:
        self._node_id = node_id
        self._locks = locks
        self._bus = bus
        self._live: dict[int, LockSession] = {}
        self._connected: set[LockSession] = set()
        self._tasks = Tasks()
        self._attaching = 0
        self._draining = False
        self._parts = SessionParts(
            attach=self._attach,
            serve=self._serve,
            silent=self._silent,
            commands=commands,
            outcomes=outcomes,
            telemetry=telemetry,
            liveness=limits.liveness,
            hello_within_s=limits.hello_within_s,
            frames=limits.frames,
        )

    @property
    def online(self) -> int:
        """How many locks are online on this node."""
        return len(self._live)

    def live_ids(self) -> list[str]:
        """The ids of the sessions whose locks are online here."""
        return [session.id for session in self._live.values()]

    def connect(self, lock: Lock, channel: Channel) -> LockSession:
        """Begin a session on an authenticated connection; ``hello`` makes the lock online."""
        session = LockSession(lock, channel, self._parts)
        self._connected.add(session)
        if self._draining:
            session.close(CloseCode.RESTART, "server restarts")
        return session

    def disconnect(self, session: LockSession) -> None:
        """The connection of ``session`` is gone; call it exactly once for each ``connect``."""
        session.end()
        self._connected.discard(session)
        self._detach(session, OfflineReason.CLOSED)

    def refresh(self, lock: Lock) -> None:
        """The lock was changed: its session, if it is here, goes on with it as it is now."""
        session = self._live.get(lock.id)
        if session is not None:
            session.refresh(lock)

    def send_key(self, lock_id: int, action: KeyAction, key: StoredKey) -> None:
        """Tell a lock which physical key to store, or to forget.

        Raises:
            LockOffline: it has no session here.
            LockTakesNoKeys: it has not said that it understands this.
            ChannelClosed: its connection is just ending.
        """
        session = self._live.get(lock_id)
        if session is None:
            raise LockOffline
        session.send_key(action, key)

    def end_revoked(self, lock_id: int) -> None:
        """The lock's credential is good no longer: close every connection that it opened here."""
        for session in [one for one in self._connected if one.lock.id == lock_id]:
            session.close(CloseCode.CREDENTIAL_REVOKED, "credential revoked")
            self._detach(session, OfflineReason.CREDENTIAL_REVOKED)

    async def drain(self, farewell: Farewell) -> None:
        """Send every lock away to reconnect elsewhere, and record that they are offline.

        They go one by one, each when it has answered the command it has in hand. What is not
        recorded in time is left to the node's lease.
        """
        self._draining = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        goodbyes = Tasks()
        leaving = [session for session in self._connected if not session.ended]
        pause_s = min(1 / farewell.a_second, farewell.window_s / max(1, len(leaving)))
        openings_end_at = began + farewell.openings_within_s
        for number, session in enumerate(leaving):
            await asyncio.sleep(began + number * pause_s - loop.time())
            work = self._send_away(session, openings_end_at - loop.time())
            goodbyes.spawn(work, f"goodbye-{session.lock.id}")
        await goodbyes.finish(farewell.openings_within_s + farewell.window_s)
        give_up_at = loop.time() + farewell.recorded_within_s
        while self._attaching and loop.time() < give_up_at:
            await asyncio.sleep(_DRAIN_POLL_S)
        await self._tasks.finish(max(0.0, give_up_at - loop.time()))

    async def _send_away(self, session: LockSession, idle_within_s: float) -> None:
        await session.wait_until_idle(idle_within_s)
        if not session.ended:
            session.close(CloseCode.RESTART, "server restarts")
            self._detach(session, OfflineReason.DRAINED)

    async def _attach(self, session: LockSession, hello: Hello) -> Lock:
        now = clock.now()
        connection = Connection(
            online=True,
            since=now,
            session_id=session.id,
            node_id=self._node_id,
            last_seen_at=now,
            firmware=hello.firmware,
            model=hello.model,
        )
        self._attaching += 1
        try:
            lock = await self._locks.attach(session.lock.id, connection)
        except StorageUnavailable:
            # It may have been written all the same.
            self._spawn_offline(session, OfflineReason.CLOSED)
            raise
        finally:
            self._attaching -= 1
        if session.ended:  # it closed while we waited
            closed = OfflineReason.DRAINED if self._draining else OfflineReason.CLOSED
            self._spawn_offline(session, closed)
            return lock
        other = self._live.get(lock.id)
        if other is not None and other.lock.session_count > lock.session_count:
            session.close(CloseCode.SUPERSEDED, "superseded")
            return lock
        self._live[lock.id] = session
        if other is not None:
            other.close(CloseCode.SUPERSEDED, "superseded")
        log.info("lock_online", lock=lock.id, session=session.id)
        return lock

    async def _serve(self, session: LockSession) -> None:
        if self._live.get(session.lock.id) is session:
            await self._bus.serve_lock(session.lock.id, session.open)

    def _silent(self, session: LockSession) -> None:
        self._detach(session, OfflineReason.TIMEOUT)

    def _detach(self, session: LockSession, reason: OfflineReason) -> None:
        if self._live.get(session.lock.id) is not session:
            return
        del self._live[session.lock.id]
        self._spawn_offline(session, reason)

    def _spawn_offline(self, session: LockSession, reason: OfflineReason) -> None:
        work = self._write_offline(session, reason, clock.now())
        self._tasks.spawn(work, f"offline-{session.lock.id}")

    async def _write_offline(
        self, session: LockSession, reason: OfflineReason, since: datetime
    ) -> None:
        await self._bus.release_lock(session.lock.id, session.open)
        for retry_after_s in (*_DETACH_RETRY_S, None):
            try:
                was_ours = await self._locks.detach(
                    session.lock.id, session.id, reason, session.last_seen_at, since
                )
            except StorageUnavailable:
                if retry_after_s is None:
                    # The node's lease speaks for its locks from here on.
                    log.exception("lock_offline_not_recorded", lock=session.lock.id)
                    return
                await asyncio.sleep(retry_after_s)
            else:
                if was_ours:
                    log.info("lock_offline", lock=session.lock.id, reason=reason.value)
                return
