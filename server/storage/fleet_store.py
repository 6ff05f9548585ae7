"""Whole fleets: the state of every lock at once, and when they came and went."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

from server.domain.locks import Lock
from server.domain.organizations import Scope
from server.domain.presence import PresenceEvent
from server.domain.times import parse_wire_time
from server.storage.lock_store import within
from server.storage.mongo import Database, Documents, reports_outages

PRESENCE_EVENTS = ("LockOnline", "LockOffline")
_NOT_STATE = {"keys": 0, "residents": 0, "presenceChanges": 0, "acked": 0}

_locks = Documents(Lock)


@reports_outages
class FleetStore:
    """The collections ``locks`` and ``events``, for those who look at many locks at once."""

    def __init__(self, database: Database) -> None:
        self._locks = database["locks"]
        self._events = database["events"]

    async def states(self, scope: Scope) -> list[Lock]:
        """Every lock in this scope, without its physical keys and residents."""
        cursor = self._locks.find(within(scope), _NOT_STATE)
        return [_locks.read(document) async for document in cursor]

    async def presence(
        self, lock_ids: Collection[int], since: datetime, most: int
    ) -> dict[int, list[PresenceEvent]]:
        """The changes of presence of these locks since an instant, in order; the newest ``most``.

        One query, however many locks.
        """
        wanted = {
            "lockId": {"$in": list(lock_ids)},
            "type": {"$in": list(PRESENCE_EVENTS)},
            "recordedAt": {"$gte": since},
        }
        cursor = self._events.find(wanted, {"lockId": 1, "type": 1, "data.timestamp": 1, "_id": 0})
        found: defaultdict[int, list[PresenceEvent]] = defaultdict(list)
        async for event in cursor.sort("recordedAt", -1).limit(most):
            at = parse_wire_time(event["data"]["timestamp"])
            found[event["lockId"]].append(PresenceEvent(at, event["type"] == PRESENCE_EVENTS[0]))
        return {lock_id: sorted(events, key=_when) for lock_id, events in found.items()}


def _when(event: PresenceEvent) -> datetime:
    return event.at
