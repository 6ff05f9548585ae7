"""Arrivals at risk: guests who come soon, to doors that would disappoint them."""

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from server import clock
from server.domain.attention import Trouble, troubles_of
from server.domain.locks import Lock
from server.domain.organizations import EVERYBODYS, Scope
from server.domain.temp_keys import Door, TempKey
from server.storage.arrival_store import ArrivalStore
from server.storage.fleet_store import FleetStore

SOON = timedelta(hours=72)
MOST_ARRIVALS = 500


class DoorAtRisk(Struct, frozen=True, kw_only=True):
    """A door of a key whose lock is in trouble."""

    door: Door
    lock: Lock
    troubles: list[Trouble]


class Arrival(Struct, frozen=True, kw_only=True):
    """A key that begins soon, and those of its doors that are at risk."""

    key: TempKey
    doors: list[DoorAtRisk]


class Arrivals:
    """Looks for keys that begin soon on locks that are in trouble."""

    def __init__(self, keys: ArrivalStore, fleet: FleetStore) -> None:
        self._keys = keys
        self._fleet = fleet

    async def at_risk(self, scope: Scope) -> list[Arrival]:
        """The arrivals of the next three days at risk, soonest first; the first 500."""
        now = clock.now()
        troubled = {lock.id: lock for lock in await self._fleet.states(scope) if troubles_of(lock)}
        if not troubled:
            return []
        keys = await self._keys.starting(scope, troubled, now, now + SOON, MOST_ARRIVALS)
        return [Arrival(key=key, doors=_at_risk(key, troubled)) for key in keys]

    async def count_at_risk(self) -> int:
        """How many there are in the whole installation; 500 at most."""
        return len(await self.at_risk(EVERYBODYS))


def _at_risk(key: TempKey, troubled: Mapping[int, Lock]) -> list[DoorAtRisk]:
    return [
        DoorAtRisk(door=door, lock=lock, troubles=troubles_of(lock))
        for door in key.doors
        if (lock := troubled.get(door.lock_id)) is not None
    ]
