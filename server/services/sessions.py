"""Which locks are connected to this node: attaching, superseding, detaching, and presence."""

import asyncio
from collections import defaultdict

import structlog
from msgspec import Struct

from server import clock
from server.bus.base import Bus
from server.domain.errors import LockNotFound, StorageUnavailable, Unauthenticated
from server.domain.locks import Connection, LivenessPolicy, Lock, OfflineReason
from server.domain.organizations import EVERYBODYS
from server.domain.protocol import CloseCode, Hello
from server.domain.rates import Rate
from server.services.channel import Channel
from server.services.departures import Departures
from server.services.lock_session import LockSession, SessionParts
from server.services.merged_work import MergedWork
from server.services.metrics import Metrics
from server.services.outcomes import Outcomes
from server.services.tasks import Tasks
from server.services.telemetry import TelemetryWriter
from server.storage.command_store import CommandStore
from server.storage.lock_store import LockStore
from server.storage.presence_store import PresenceStore

log = structlog.get_logger(__name__)

_POLL_S = 0.02
_CHECKS_AT_ONCE = 20
_WORDS = {
    CloseCode.SUPERSEDED: "superseded",
    CloseCode.CREDENTIAL_REVOKED: "credential revoked",
}


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
    """The live sessions of this node, at most one per lock.

    Which session a lock is in is for MongoDB to say. Where this node learns that a session of
    its own is not the one, or has no good credential any more, it ends that session.
    """

    def __init__(
        self,
        node_id: str,
        locks: LockStore,
        presence: PresenceStore,
        commands: CommandStore,
        outcomes: Outcomes,
        telemetry: TelemetryWriter,
        bus: Bus,
        limits: SessionLimits,
        metrics: Metrics,
    ) -> None:
        self._node_id = node_id
        self._locks = locks
        self._presence = presence
        self._bus = bus
        self._live: dict[int, LockSession] = {}
        self._connected: defaultdict[int, set[LockSession]] = defaultdict(set)
        self._attaching: set[LockSession] = set()
        self._departures = Departures(presence, bus, metrics)
        self._checks = MergedWork(self._check_after_news, "lock-checks", _CHECKS_AT_ONCE)
        self._draining = False
        self._parts = SessionParts(
            attach=self._attach,
            serve=self._serve,
            holds=self._holds,
            silent=self._silent,
            commands=commands,
            outcomes=outcomes,
            telemetry=telemetry,
            liveness=limits.liveness,
            hello_within_s=limits.hello_within_s,
            frames=limits.frames,
            metrics=metrics,
        )
        bus.on_lock_changed(self._look_at)

    @property
    def online(self) -> int:
        """How many locks are online on this node."""
        return len(self._live)

    def connect(self, lock: Lock, channel: Channel) -> LockSession:
        """Begin a session on an authenticated connection; ``hello`` makes the lock online."""
        session = LockSession(lock, channel, self._parts)
        self._connected[lock.id].add(session)
        if self._draining:
            session.close(CloseCode.RESTART, "server restarts")
        return session

    def disconnect(self, session: LockSession) -> None:
        """The connection of ``session`` is gone; call it exactly once for each ``connect``."""
        session.end()
        session.log_end()
        self._connected[session.lock.id].discard(session)
        if not self._connected[session.lock.id]:
            del self._connected[session.lock.id]
        self._detach(session, OfflineReason.CLOSED)

    async def check_all(self) -> None:
        """Hold all live sessions against what is stored of their locks.

        Two queries. The first finds nothing unless news was lost, or this node was taken for
        lost: then its sessions live, and so their locks are online again. The second finds
        locks whose end could not be recorded while MongoDB was away.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        await self._bring_back()
        await self._let_go()

    async def _bring_back(self) -> None:
        live = {lock_id: session.id for lock_id, session in self._live.items()}
        lost: list[str] = []
        for lock in await self._presence.astray(live):
            self._judge(lock)
            session = self._live.get(lock.id)
            if session is not None and session.id == lock.connection.session_id:
                lost.append(session.id)
        if lost:
            back = await self._presence.reattach(lost, clock.now())
            log.info("locks_back_online", locks=back)

    async def _let_go(self) -> None:
        """Take offline the locks that are online here by what is stored, and by nothing else."""
        for lock in await self._presence.left_behind(self._node_id, self._known()):
            session_id = lock.connection.session_id
            if session_id is None or session_id in self._known():  # it has come since we asked
                continue
            seen_at = lock.connection.last_seen_at or clock.now()
            await self._departures.record(
                lock.id, session_id, OfflineReason.CLOSED, seen_at, clock.now()
            )

    def _known(self) -> set[str]:
        """The ids of all sessions that live here, or that somebody else is seeing to."""
        here = (*self._live.values(), *self._attaching)
        return {session.id for session in here} | self._departures.under_way

    async def drain(self, farewell: Farewell) -> None:
        """Send every lock away to reconnect elsewhere, and record that they are offline.

        They go one by one, each when it has answered the command it has in hand. What is not
        recorded in time is left to the node's lease.
        """
        self._draining = True
        loop = asyncio.get_running_loop()
        began = loop.time()
        goodbyes = Tasks()
        connected = [session for each in self._connected.values() for session in each]
        leaving = [session for session in connected if not session.ended]
        pause_s = min(1 / farewell.a_second, farewell.window_s / max(1, len(leaving)))
        openings_end_at = began + farewell.openings_within_s
        for number, session in enumerate(leaving):
            await asyncio.sleep(began + number * pause_s - loop.time())
            work = self._send_away(session, openings_end_at - loop.time())
            goodbyes.spawn(work, f"goodbye-{session.lock.id}")
        await goodbyes.finish(farewell.openings_within_s + farewell.window_s)
        give_up_at = loop.time() + farewell.recorded_within_s
        while self._attaching and loop.time() < give_up_at:
            await asyncio.sleep(_POLL_S)
        left_s = max(0.0, give_up_at - loop.time())
        await asyncio.gather(self._checks.finish(left_s), self._departures.finish(left_s))

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
        self._attaching.add(session)
        try:
            lock = await self._presence.attach(session.lock, connection)
        except (LockNotFound, Unauthenticated):
            self._end(session, CloseCode.CREDENTIAL_REVOKED)
            return session.lock
        except StorageUnavailable:
            # It may have been written all the same.
            self._departures.begin(session, OfflineReason.CLOSED)
            raise
        finally:
            self._attaching.discard(session)
        if session.ended:  # it closed while we waited
            closed = OfflineReason.DRAINED if self._draining else OfflineReason.CLOSED
            self._departures.begin(session, closed)
            return lock
        other = self._live.get(lock.id)
        if other is not None and other.lock.session_count > lock.session_count:
            self._end(session, CloseCode.SUPERSEDED)
            return lock
        self._live[lock.id] = session
        if other is not None:
            self._end(other, CloseCode.SUPERSEDED)
        self._bus.lock_taken(lock.id)
        log.info("lock_online", lock=lock.id, session=session.id)
        return lock

    async def _serve(self, session: LockSession) -> None:
        if self._live.get(session.lock.id) is session:
            await self._bus.serve_lock(session.lock.id, session)

    async def _holds(self, session: LockSession) -> bool:
        """Whether the lock is in this session still, by what is stored; raises as ``_check``."""
        await self._check(session.lock.id)
        return self._live.get(session.lock.id) is session

    def _look_at(self, lock_id: int) -> None:
        if lock_id in self._connected:
            self._checks.ask(lock_id)

    async def _check_after_news(self, lock_id: int) -> None:
        # A session that is just attaching may have lost the lock again before it knows.
        while any(session.lock.id == lock_id for session in self._attaching):
            await asyncio.sleep(_POLL_S)
        try:
            await self._check(lock_id)
        except StorageUnavailable:
            log.info("lock_checked_later", lock=lock_id)  # with all the others

    async def _check(self, lock_id: int) -> None:
        """Go on with a lock as it is stored, or end its sessions here.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        try:
            lock = await self._locks.find(lock_id, EVERYBODYS)
        except LockNotFound:
            return
        self._judge(lock)

    def _judge(self, lock: Lock) -> None:
        for session in list(self._connected.get(lock.id, ())):
            if session.lock.session_count > lock.session_count:
                continue  # it has attached since the lock was read
            if session.lock.credential_count < lock.credential_count:
                self._end(session, CloseCode.CREDENTIAL_REVOKED)
                self._detach(session, OfflineReason.CREDENTIAL_REVOKED)
            elif self._live.get(lock.id) is not session:
                continue
            elif session.lock.session_count < lock.session_count:
                if lock.connection.online:
                    self._end(session, CloseCode.SUPERSEDED)
                else:  # by one that was dead when it was let in: this is the lock's only one
                    session.close(CloseCode.TRY_AGAIN_LATER, "try again in 0 s")
                self._detach(session, OfflineReason.SUPERSEDED)
            else:
                session.refresh(lock)

    def _end(self, session: LockSession, code: CloseCode) -> None:
        session.close(code, _WORDS[code])

    def _silent(self, session: LockSession) -> None:
        self._detach(session, OfflineReason.TIMEOUT)

    def _detach(self, session: LockSession, reason: OfflineReason) -> None:
        if self._live.get(session.lock.id) is not session:
            return
        del self._live[session.lock.id]
        self._departures.begin(session, reason)
