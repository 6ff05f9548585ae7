"""Everything about one lock on one page."""

from datetime import datetime, timedelta

from msgspec import Struct

from server import clock
from server.domain.commands import OpenCommand
from server.domain.events import RecordedEvent
from server.domain.locks import Lock
from server.domain.organizations import Operator
from server.domain.pages import Page
from server.domain.presence import Stretch
from server.domain.telemetry import StoredReport
from server.domain.temp_keys import TempKey
from server.services.fleet import Fleet
from server.services.lock_queries import LockQueries
from server.services.locks import Locks
from server.services.temp_keys import TempKeys

READINGS_SHOWN = timedelta(days=7)
_MOST_READINGS = 1000
_NEWEST = 10


class LockOverview(Struct, frozen=True, kw_only=True):
    """A lock with its last week: readings and commands newest first, as are events and keys."""

    lock: Lock
    readings: list[StoredReport]
    commands: list[OpenCommand]
    events: list[RecordedEvent]
    keys: list[TempKey]
    presence: list[Stretch]
    at: datetime


class LockOverviews:
    """Puts together what other services know of a lock."""

    def __init__(self, locks: Locks, queries: LockQueries, keys: TempKeys, fleet: Fleet) -> None:
        self._locks = locks
        self._queries = queries
        self._keys = keys
        self._fleet = fleet

    async def find(self, operator: Operator, lock_id: int) -> LockOverview:
        """A lock as it is now.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        now = clock.now()
        lock = await self._locks.find(operator, lock_id)
        return LockOverview(
            lock=lock,
            readings=await self._queries.readings_of(
                operator, lock_id, _MOST_READINGS, now - READINGS_SHOWN, None
            ),
            commands=await self._locks.commands_of(operator, lock_id, _NEWEST),
            events=await self._queries.newest_events(operator, None, _NEWEST, None, lock_id),
            keys=await self._keys.list_of(operator, lock_id, Page(limit=_NEWEST)),
            presence=(await self._fleet.presence([lock], now))[lock.id],
            at=now,
        )
