"""What happens to the fleet, told live to whoever follows it: read once for all on this node."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from server.domain.errors import StorageUnavailable, TooManyFollowers
from server.domain.events import RecordedEvent
from server.domain.locks import Lock
from server.domain.organizations import EVERYBODYS, Scope
from server.storage.event_log import EventLog
from server.storage.lock_store import LockStore
from server.storage.lock_watch import LockChanges, LockWatch

log = structlog.get_logger(__name__)

TICK_S = 0.3
"""Changes are gathered for so long and told together."""

MOST_FOLLOWERS = 1000
MOST_UNREAD_BYTES = 256 * 1024
MOST_REPLAYED = 1000
_MOST_AT_ONCE = 1000
_BEGINS_WITHIN_S = 5.0
_WAIT_FOR_STORAGE_S = 1.0


class Encoding(Protocol):
    """How followers of one kind are told things.

    One object serves all of a kind, so that what is told to an organisation is written once
    for it, however many of its people follow.
    """

    def ready(self, position: int, complete: bool) -> bytes:
        """From now on every change is told; events go on after ``position``.

        ``complete`` is whether every event since the one asked for has been told before.
        """
        ...

    def lock(self, lock: Lock) -> bytes:
        """A lock as it is now."""
        ...

    def event(self, event: RecordedEvent, lock: Lock | None) -> bytes:
        """An event of a lock; None where the lock is gone."""
        ...


class Follower:
    """One who follows. What is not read yet is kept up to a bound, beyond which it ends."""

    def __init__(self, scope: Scope, encoding: Encoding) -> None:
        self.scope = scope
        self.encoding = encoding
        self.begins_after: int | None = None
        self.ended = False
        self._unread: list[bytes] = []
        self._unread_bytes = 0
        self._news = asyncio.Event()

    def begin(self, position: int) -> None:
        """Events after ``position`` are told, and every change of a lock from now on."""
        self.begins_after = position
        self._news.set()

    def tell(self, told: bytes) -> None:
        """Keep something to be read; who does not keep up is let go, and may come back."""
        self._unread.append(told)
        self._unread_bytes += len(told)
        self._news.set()
        if self._unread_bytes > MOST_UNREAD_BYTES:
            self.end()

    def end(self) -> None:
        """Tell nothing more."""
        self.ended = True
        self._unread.clear()
        self._news.set()

    async def begun(self, within_s: float) -> int | None:
        """After which place it begins; None where it did not within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return None
        return self.begins_after

    async def read(self, within_s: float) -> bytes:
        """What was told since the last call; empty where nothing was within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return b""
        self._news.clear()
        told = b"".join(self._unread)
        self._unread.clear()
        self._unread_bytes = 0
        return told

    def insert(self, told: bytes) -> None:
        """Have something read before all that was told."""
        self._unread.insert(0, told)
        self._news.set()


class FleetFeed:
    """Follows the changes of all locks for everybody on this node, while anybody is there.

    It reads what the database says, so it makes no difference which node holds a lock.
    """

    def __init__(self, watch: LockWatch, locks: LockStore, events: EventLog) -> None:
        self._watch = watch
        self._locks = locks
        self._events = events
        self._followers: set[Follower] = set()
        self._wanted = asyncio.Event()
        self._position = 0

    @property
    def followers(self) -> int:
        """How many follow on this node."""
        return len(self._followers)

    @asynccontextmanager
    async def following(
        self, scope: Scope, encoding: Encoding, after: int | None
    ) -> AsyncGenerator[Follower, None]:
        """A follower, who is told the events after ``after`` first, where that is named.

        It ends where it is not read in time, and where something may have been missed: then
        begin again.

        Raises:
            StorageUnavailable: MongoDB is away.
            TooManyFollowers: this node takes no more.
        """
        if len(self._followers) >= MOST_FOLLOWERS:
            raise TooManyFollowers
        follower = Follower(scope, encoding)
        self._followers.add(follower)
        self._wanted.set()
        try:
            position = await follower.begun(_BEGINS_WITHIN_S)
            if position is None:
                raise StorageUnavailable
            missed = await self._missed(scope, after, position)
            locks = await self._locks.find_all({one.lock_id for one in missed}, EVERYBODYS)
            told = [
                encoding.event(event, locks.get(event.lock_id)) for event in missed[:MOST_REPLAYED]
            ]
            told.append(encoding.ready(position, len(missed) <= MOST_REPLAYED))
            follower.insert(b"".join(told))
            yield follower
        finally:
            self._followers.discard(follower)

    async def run_forever(self) -> None:
        """Tell the followers, while there are any: run as a task of every node."""
        while True:
            await self._wanted.wait()
            try:
                async with self._watch.changes() as changes:
                    await self._tell_while_followed(changes)
            except StorageUnavailable:
                log.warning("fleet_feed_interrupted")
                self.end_all()
                await asyncio.sleep(_WAIT_FOR_STORAGE_S)
            except Exception:
                log.exception("fleet_feed_failed")  # nobody else would go on with it
                self.end_all()
                await asyncio.sleep(_WAIT_FOR_STORAGE_S)

    def end_all(self) -> None:
        """Let every follower go: something may have been missed, or the node goes down."""
        for follower in self._followers:
            follower.end()

    async def _tell_while_followed(self, changes: LockChanges) -> None:
        self._position = await self._events.newest_place()
        while self._followers:
            for follower in self._followers:
                if follower.begins_after is None:
                    follower.begin(self._position)
            changed = await changes.take(_MOST_AT_ONCE)
            events = await self._events.list_in_order(self._position, _MOST_AT_ONCE)
            await self._tell(changed, events)
            if events:
                self._position = events[-1].position
            await asyncio.sleep(TICK_S)
        self._wanted.clear()

    async def _tell(self, changed: set[int], events: Sequence[RecordedEvent]) -> None:
        lock_ids = changed | {event.lock_id for event in events}
        if not lock_ids:
            return
        locks = await self._locks.find_all(lock_ids, EVERYBODYS)
        audiences: defaultdict[tuple[Scope, Encoding], list[Follower]] = defaultdict(list)
        for follower in self._followers:
            if follower.begins_after is not None:
                audiences[follower.scope, follower.encoding].append(follower)
        for (scope, encoding), followers in audiences.items():
            told = [
                encoding.lock(lock)
                for lock_id, lock in locks.items()
                if lock_id in changed and _concerns(scope, lock.org_id, lock)
            ]
            told += [
                encoding.event(event, locks.get(event.lock_id))
                for event in events
                if _concerns(scope, event.org_id, locks.get(event.lock_id))
            ]
            if told:
                together = b"".join(told)
                for follower in followers:
                    follower.tell(together)

    async def _missed(self, scope: Scope, after: int | None, until: int) -> list[RecordedEvent]:
        """The events between two places, and one too many where there are too many."""
        if after is None or after >= until:
            return []
        locks: list[Lock] | None = None
        if scope.owner_id is not None:
            locks = await self._locks.list_of(scope)
        events = await self._events.list_in_order(
            after, MOST_REPLAYED + 1, org_id=scope.org_id, locks=locks
        )
        return [event for event in events if event.position <= until]


def _concerns(scope: Scope, org_id: str, lock: Lock | None) -> bool:
    """Whether something of a lock is told that happened while it was this organisation's."""
    if scope.everybodys:
        return True
    if scope.org_id is not None:
        return scope.org_id == org_id
    return lock is not None and lock.owner_id == scope.owner_id and lock.org_id == org_id
