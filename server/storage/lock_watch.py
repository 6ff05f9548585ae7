"""Which locks have just changed, as MongoDB's change stream tells it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorChangeStream
from pymongo.errors import PyMongoError

from server.domain.errors import StorageUnavailable
from server.storage.mongo import Database, Document

_WORTH_TELLING = r"^(name|timeZone|orgId|ownerId|telemetry|connection)(?!\.lastSeenAt)"
"""Fields of a lock whose changes are told. When it was last seen changes with every report."""

_updated_fields: Document = {"$objectToArray": "$updateDescription.updatedFields"}
_is_worth_telling: Document = {
    "$anyElementTrue": {
        "$map": {
            "input": {"$ifNull": [_updated_fields, []]},
            "in": {"$regexMatch": {"input": "$$this.k", "regex": _WORTH_TELLING}},
        }
    }
}
_PIPELINE: list[Document] = [
    {
        "$match": {
            "$or": [
                {"operationType": {"$in": ["insert", "replace"]}},
                {"operationType": "update", "$expr": _is_worth_telling},
            ]
        }
    },
    {"$project": {"documentKey": 1}},
]
_WAIT_MS = 1
"""The reader comes back of its own: a thread of the driver is not kept waiting for changes."""


class LockChanges:
    """The changes since this was opened, to be fetched whenever it suits the reader."""

    def __init__(self, stream: AsyncIOMotorChangeStream[Document]) -> None:
        self._stream = stream

    async def take(self, most: int) -> set[int]:
        """The locks that have changed since the last call; what is over ``most`` comes next time.

        Raises:
            StorageUnavailable: changes may have been missed; nothing more can be had here.
        """
        changed: set[int] = set()
        try:
            while len(changed) < most and (change := await self._stream.try_next()) is not None:
                changed.add(change["documentKey"]["_id"])
        except PyMongoError as error:
            raise StorageUnavailable from error
        return changed


class LockWatch:
    """Watches the collection ``locks``: whichever node writes, every node can see it."""

    def __init__(self, database: Database) -> None:
        self._locks = database["locks"]

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[LockChanges]:
        """The changes from now on.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        watching: Any = self._locks.watch(_PIPELINE, max_await_time_ms=_WAIT_MS)
        try:
            await watching.__aenter__()
        except PyMongoError as error:
            raise StorageUnavailable from error
        try:
            yield LockChanges(watching)
        finally:
            await watching.close()
