"""Locks and their presence."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.errors import AlreadyExists, LockNotFound
from server.domain.locks import Connection, Lock, OfflineReason
from server.domain.organizations import Scope
from server.storage.mongo import Database, Document, Documents, reports_outages

_locks = Documents(Lock)


@reports_outages
class LockStore:
    """The collection ``locks``: one document per lock, with its last known state."""

    def __init__(self, database: Database) -> None:
        self._locks = database["locks"]

    async def insert(self, lock: Lock) -> None:
        """Add a lock.

        Raises:
            AlreadyExists: its id or its uuid is taken.
        """
        try:
            await self._locks.insert_one(_locks.write(lock))
        except DuplicateKeyError as error:
            raise AlreadyExists(f"There is a lock with id {lock.id} already") from error

    async def next_id(self) -> int:
        """One more than the highest lock id; two callers may get the same one."""
        last = await self._locks.find_one(sort=[("_id", -1)], projection={"_id": 1})
        return 1 if last is None else int(last["_id"]) + 1

    async def find(self, lock_id: int, scope: Scope) -> Lock:
        """The lock with that id.

        Raises:
            LockNotFound: there is none in this scope.
        """
        document = await self._locks.find_one({"_id": lock_id, **_within(scope)})
        if document is None:
            raise LockNotFound
        return _locks.read(document)

    async def find_all(self, lock_ids: Iterable[int], scope: Scope) -> dict[int, Lock]:
        """Those of these locks that are in this scope, by id."""
        wanted = {"_id": {"$in": list(lock_ids)}, **_within(scope)}
        return {
            document["_id"]: _locks.read(document) async for document in self._locks.find(wanted)
        }

    async def list_of(self, scope: Scope) -> list[Lock]:
        """Every lock in this scope, by id."""
        cursor = self._locks.find(_within(scope)).sort("_id", 1)
        return [_locks.read(document) async for document in cursor]

    async def set_token(self, lock_id: int, scope: Scope, token_digest: str) -> None:
        """Replace the lock's device token; only its digest is kept.

        Raises:
            LockNotFound: there is no such lock in this scope.
        """
        done = await self._locks.update_one(
            {"_id": lock_id, **_within(scope)}, {"$set": {"tokenDigest": token_digest}}
        )
        if done.matched_count == 0:
            raise LockNotFound

    async def find_by_token(self, lock_id: int, token_digest: str) -> Lock | None:
        """The lock, where that is the digest of its device token."""
        document = await self._locks.find_one({"_id": lock_id, "tokenDigest": token_digest})
        return None if document is None else _locks.read(document)

    async def attach(self, lock_id: int, connection: Connection) -> Lock:
        """Mark the lock online in a new session, whichever session it was in before.

        Returns:
            The lock as it is now; its ``session_count`` is the number of this session.

        Raises:
            LockNotFound: the lock is gone.
        """
        document = await self._locks.find_one_and_update(
            {"_id": lock_id},
            {
                "$set": {"connection": msgspec.to_builtins(connection, builtin_types=(datetime,))},
                "$inc": {"sessionCount": 1},
            },
            return_document=ReturnDocument.AFTER,
        )
        if document is None:
            raise LockNotFound
        return _locks.read(document)

    async def detach(
        self,
        lock_id: int,
        session_id: str,
        reason: OfflineReason,
        last_seen_at: datetime,
        now: datetime,
    ) -> bool:
        """Mark the lock offline, unless another session has attached it since.

        Returns:
            Whether this session was still the lock's own.
        """
        done = await self._locks.update_one(
            {"_id": lock_id, "connection.sessionId": session_id, "connection.online": True},
            {
                "$set": {
                    "connection.online": False,
                    "connection.offlineReason": reason.value,
                    "connection.since": now,
                    "connection.lastSeenAt": last_seen_at,
                }
            },
        )
        return done.modified_count == 1

    async def detach_lost(self, live_nodes: Iterable[str], now: datetime) -> int:
        """Mark offline every lock that only a node no longer alive held.

        Returns:
            How many locks that were.
        """
        lost: Document = {
            "connection.online": True,
            "connection.nodeId": {"$nin": list(live_nodes)},
        }
        done = await self._locks.update_many(
            lost,
            {
                "$set": {
                    "connection.online": False,
                    "connection.offlineReason": OfflineReason.SERVER_LOST.value,
                    "connection.since": now,
                }
            },
        )
        return done.modified_count

    async def count_online(self) -> int:
        """How many locks are online in the whole installation."""
        return await self._locks.count_documents({"connection.online": True})


def _within(scope: Scope) -> Document:
    where: Document = {}
    if scope.org_id is not None:
        where["orgId"] = scope.org_id
    if scope.owner_id is not None:
        where["ownerId"] = scope.owner_id
    return where
