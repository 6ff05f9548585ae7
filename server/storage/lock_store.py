"""Locks and their presence."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.errors import AlreadyExists, LockNotFound
from server.domain.locks import Connection, Lock, OfflineReason, PresenceChange
from server.domain.organizations import Scope
from server.storage.mongo import Database, Document, Documents, Transaction, reports_outages

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_UNTOLD = 200
"""As many changes of a lock's presence wait for their events, if nobody records them."""

_locks = Documents(Lock)


class LockPublicKey(Struct, frozen=True, kw_only=True):
    """A lock's own public key, and the one JWT algorithm (``EdDSA``, ``ES256``) it is good for."""

    algorithm: str
    pem: str


@reports_outages
class LockStore:
    """The collection ``locks``: one document per lock, with its last known state."""

    def __init__(self, database: Database) -> None:
        self._locks = database["locks"]

    async def insert(self, lock: Lock, transaction: Transaction | None = None) -> None:
        """Add a lock.

        Raises:
            AlreadyExists: its id or its uuid is taken.
        """
        try:
            await self._locks.insert_one(_locks.write(lock), session=transaction)
        except DuplicateKeyError as error:
            taken = f"There is a lock with id {lock.id} or this uuid already"
            raise AlreadyExists(taken) from error

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

    async def list_of(self, scope: Scope, after: int = 0, limit: int = 0) -> list[Lock]:
        """The locks in this scope by id, from the one after ``after``; all, without a limit."""
        wanted = {"_id": {"$gt": after}, **_within(scope)}
        cursor = self._locks.find(wanted).sort("_id", 1).limit(limit)
        return [_locks.read(document) async for document in cursor]

    async def set_token(self, lock_id: int, scope: Scope, token_digest: str) -> None:
        """Replace the lock's device token; only its digest is kept.

        Raises:
            LockNotFound: there is no such lock in this scope.
        """
        await self.set_credential(lock_id, scope, token_digest=token_digest)

    async def set_credential(
        self,
        lock_id: int,
        scope: Scope,
        *,
        token_digest: str | None = None,
        public_key: LockPublicKey | None = None,
    ) -> None:
        """Replace the lock's credential, whichever kind it was; by none where none is given.

        Raises:
            LockNotFound: there is no such lock in this scope.
        """
        credential = {
            "tokenDigest": token_digest,
            "publicKey": None if public_key is None else msgspec.to_builtins(public_key),
        }
        done = await self._locks.update_one(
            {"_id": lock_id, **_within(scope)}, {"$set": credential}
        )
        if done.matched_count == 0:
            raise LockNotFound

    async def find_by_token(self, lock_id: int, token_digest: str) -> Lock | None:
        """The lock, where that is the digest of its device token."""
        document = await self._locks.find_one({"_id": lock_id, "tokenDigest": token_digest})
        return None if document is None else _locks.read(document)

    async def find_public_key(self, lock_id: int, algorithm: str) -> str | None:
        """The PEM of the lock's public key, where it has one for ``algorithm``."""
        document = await self._locks.find_one(
            {"_id": lock_id, "publicKey.algorithm": algorithm}, {"publicKey.pem": 1}
        )
        return None if document is None else str(document["publicKey"]["pem"])

    async def find_by_public_key(self, lock_id: int, pem: str) -> Lock | None:
        """The lock, where that is its public key."""
        document = await self._locks.find_one({"_id": lock_id, "publicKey.pem": pem})
        return None if document is None else _locks.read(document)

    async def attach(self, lock_id: int, connection: Connection) -> Lock:
        """Mark the lock online in a new session, whichever session it was in before.

        Returns:
            The lock as it is now; its ``session_count`` is the number of this session.

        Raises:
            LockNotFound: the lock is gone.
        """
        since = connection.since or _LONG_AGO
        document = await self._locks.find_one_and_update(
            {"_id": lock_id},
            {
                "$set": {"connection": msgspec.to_builtins(connection, builtin_types=(datetime,))},
                "$inc": {"sessionCount": 1},
                "$push": _untold(f"{connection.session_id}/online", True, since),
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
                },
                "$push": _untold(f"{session_id}/offline", False, now, reason),
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
            [
                {
                    "$set": {
                        "connection.online": False,
                        "connection.offlineReason": OfflineReason.SERVER_LOST.value,
                        "connection.since": now,
                        "presenceChanges": _untold_of_each(
                            "lost", False, now, OfflineReason.SERVER_LOST
                        ),
                    }
                }
            ],
        )
        return done.modified_count

    async def reattach(self, session_ids: Iterable[str], now: datetime) -> int:
        """Mark online again the locks of living sessions whose node was taken for lost.

        Returns:
            How many locks that were.
        """
        wrongly_lost: Document = {
            "connection.sessionId": {"$in": list(session_ids)},
            "connection.offlineReason": OfflineReason.SERVER_LOST.value,
        }
        done = await self._locks.update_many(
            wrongly_lost,
            [
                {
                    "$set": {
                        "connection.online": True,
                        "connection.since": now,
                        "presenceChanges": _untold_of_each("back", True, now),
                    }
                },
                {"$unset": "connection.offlineReason"},
            ],
        )
        return done.modified_count

    async def count_online(self) -> int:
        """How many locks are online in the whole installation."""
        return await self._locks.count_documents({"connection.online": True})


def _untold(
    change_id: str, online: bool, at: datetime, reason: OfflineReason | None = None
) -> Document:
    """What ``$push`` takes to keep a change of presence until its event is recorded."""
    change = PresenceChange(id=change_id, online=online, at=at, reason=reason)
    document = msgspec.to_builtins(change, builtin_types=(datetime,))
    return {"presenceChanges": {"$each": [document], "$slice": -_MOST_UNTOLD}}


def _untold_of_each(
    word: str, online: bool, at: datetime, reason: OfflineReason | None = None
) -> Document:
    """The same for many locks at once, as an expression of each lock's own session."""
    change_id = {"$concat": ["$connection.sessionId", f"/{word}/{at.timestamp()}"]}
    change = {"id": change_id, "online": online, "at": at}
    if reason is not None:
        change["reason"] = reason.value
    return {"$concatArrays": [{"$ifNull": ["$presenceChanges", []]}, [change]]}


def _within(scope: Scope) -> Document:
    if scope.everybodys:
        return {}
    if scope.org_id is not None:
        return {"orgId": scope.org_id}
    if scope.owner_id is not None:
        return {"ownerId": scope.owner_id}
    raise ValueError("a scope names somebody, or says that it is everybody's")
