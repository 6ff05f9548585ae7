"""Temp keys that begin soon."""

from collections.abc import Collection
from datetime import datetime

from server.domain.organizations import Scope
from server.domain.temp_keys import TempKey
from server.storage.mongo import Database, Document, Documents, reports_outages

_keys = Documents(TempKey, id_name="uuid")


@reports_outages
class ArrivalStore:
    """The collection ``tempKeys``, by when a key begins."""

    def __init__(self, database: Database) -> None:
        self._keys = database["tempKeys"]

    async def starting(
        self, scope: Scope, lock_ids: Collection[int], since: datetime, until: datetime, limit: int
    ) -> list[TempKey]:
        """Keys for any of these locks that begin in that time and are not revoked, soonest first.

        Of an organisation's scope, those of that organisation.
        """
        wanted: Document = {
            "revokedAt": None,
            "validFrom": {"$gte": since, "$lt": until},
            "doors.lockId": {"$in": list(lock_ids)},
        }
        if scope.org_id is not None:
            wanted["orgId"] = scope.org_id
        cursor = self._keys.find(wanted).sort("validFrom", 1).limit(limit)
        return [_keys.read(document) async for document in cursor]
