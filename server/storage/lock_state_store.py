"""What commands change of a lock, and what is still to be told of its presence."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from server.domain.errors import AlreadyExists, ChangedMeanwhile, LockNotFound
from server.domain.locks import Lock, PresenceChange
from server.storage.mark_store import UNTOLD_PRESENCE
from server.storage.mongo import Database, Document, Documents, Transaction, reports_outages

_locks = Documents(Lock)

_CHANGED_BY_COMMANDS = ("uuid", "orgId", "ownerId", "keys", "residents")
_SETTINGS = ("name", "timeZone", "openForSeconds", "openConfirmation", "heartbeatSeconds")


@reports_outages
class LockStateStore:
    """The collection ``locks`` as commands change it: compare-and-set on ``version``."""

    def __init__(self, database: Database) -> None:
        self._locks = database["locks"]
        self._keys = database["tempKeys"]

    async def save(self, before: Lock, after: Lock, transaction: Transaction) -> None:
        """Write down what a command has changed, if the lock is still as it was ``before``.

        Raises:
            ChangedMeanwhile: it is not.
            AlreadyExists: another lock has the new uuid.
        """
        old, new = _locks.write(before), _locks.write(after)
        changes = {
            name: new[name] for name in _CHANGED_BY_COMMANDS if old.get(name) != new.get(name)
        }
        if not changes:
            return
        unchanged: Document = {"_id": before.id, "version": before.version}
        try:
            done = await self._locks.update_one(unchanged, {"$set": changes}, session=transaction)
        except DuplicateKeyError as error:
            raise AlreadyExists("Another lock has this UUID") from error
        if done.matched_count == 0:
            raise ChangedMeanwhile("The lock was changed at the same time. Please try again")
        if "uuid" in changes:
            await self._keys.update_many(
                {"doors.lockId": before.id},
                {"$set": {"doors.$[door].lockUuid": after.uuid}},
                array_filters=[{"door.lockId": before.id}],
                session=transaction,
            )

    async def save_settings(self, before: Lock, after: Lock) -> Lock:
        """Write down those settings in which ``after`` differs.

        Returns:
            The lock as it is now.

        Raises:
            LockNotFound: it does not belong to whom it did.
        """
        old = msgspec.to_builtins(before, builtin_types=(datetime,))
        new = msgspec.to_builtins(after, builtin_types=(datetime,))
        changes = {name: new[name] for name in _SETTINGS if old[name] != new[name]}
        if not changes:
            return after
        document = await self._locks.find_one_and_update(
            {"_id": before.id, "orgId": before.org_id},
            {"$set": changes},
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            raise LockNotFound
        return _locks.read(document)

    async def untold_presence(self, limit: int) -> list[tuple[Lock, list[PresenceChange]]]:
        """Locks with changes of presence whose events are not recorded yet."""
        cursor = self._locks.find(UNTOLD_PRESENCE).limit(limit)
        return [
            (
                _locks.read(document),
                msgspec.convert(document["presenceChanges"], list[PresenceChange]),
            )
            async for document in cursor
        ]

    async def presence_told(self, told: Iterable[tuple[Lock, Sequence[PresenceChange]]]) -> None:
        """Forget changes of presence whose events are recorded."""
        forgotten = [
            UpdateOne(
                {"_id": lock.id},
                {"$pull": {"presenceChanges": {"id": {"$in": [change.id for change in changes]}}}},
            )
            for lock, changes in told
        ]
        if forgotten:
            await self._locks.bulk_write(forgotten, ordered=False)

    async def uuids_of(self, lock_ids: Iterable[int]) -> dict[int, str]:
        """The UUIDs of these locks, as far as they exist."""
        cursor = self._locks.find({"_id": {"$in": list(set(lock_ids))}}, {"uuid": 1})
        return {document["_id"]: document["uuid"] async for document in cursor}
