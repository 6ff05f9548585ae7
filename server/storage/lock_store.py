"""Locks, and what they prove themselves with."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from msgspec import Struct
from pymongo.errors import DuplicateKeyError

from server.domain.errors import AlreadyExists, LockNotFound
from server.domain.locks import Lock
from server.domain.organizations import Scope
from server.storage.mongo import Database, Document, Documents, Transaction, reports_outages
from server.storage.presence_store import ending_the_session

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
        document = await self._locks.find_one({"_id": lock_id, **within(scope)})
        if document is None:
            raise LockNotFound
        return _locks.read(document)

    async def find_all(self, lock_ids: Iterable[int], scope: Scope) -> dict[int, Lock]:
        """Those of these locks that are in this scope, by id."""
        wanted = {"_id": {"$in": list(lock_ids)}, **within(scope)}
        return {
            document["_id"]: _locks.read(document) async for document in self._locks.find(wanted)
        }

    async def find_named(self, names: Iterable[str], scope: Scope) -> list[Lock]:
        """Locks in this scope with exactly these names; several may share one."""
        cursor = self._locks.find({"name": {"$in": list(names)}, **within(scope)})
        return [_locks.read(document) async for document in cursor]

    async def list_of(self, scope: Scope, after: int = 0, limit: int = 0) -> list[Lock]:
        """The locks in this scope by id, from the one after ``after``; all, without a limit."""
        wanted = {"_id": {"$gt": after}, **within(scope)}
        cursor = self._locks.find(wanted).sort("_id", 1).limit(limit)
        return [_locks.read(document) async for document in cursor]

    async def set_token(self, lock_id: int, scope: Scope, token_digest: str, now: datetime) -> None:
        """Replace the lock's device token; only its digest is kept.

        Raises:
            LockNotFound: there is no such lock in this scope.
        """
        await self.set_credential(lock_id, scope, now, token_digest=token_digest)

    async def set_credential(
        self,
        lock_id: int,
        scope: Scope,
        now: datetime,
        *,
        token_digest: str | None = None,
        public_key: LockPublicKey | None = None,
    ) -> None:
        """Replace the lock's credential, whichever kind it was; by none where none is given.

        The session that the old one began ends with it: the lock is offline from then on.

        Raises:
            LockNotFound: there is no such lock in this scope.
        """
        done = await self._locks.update_one(
            {"_id": lock_id, **within(scope)},
            [
                {
                    "$set": {
                        "tokenDigest": {"$literal": token_digest},
                        "publicKey": {
                            "$literal": None
                            if public_key is None
                            else msgspec.to_builtins(public_key)
                        },
                        "credentialCount": {"$add": [{"$ifNull": ["$credentialCount", 0]}, 1]},
                    }
                },
                *ending_the_session(now),
            ],
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


def within(scope: Scope) -> Document:
    """What a lock in this scope is like, as a filter."""
    if scope.everybodys:
        return {}
    if scope.org_id is not None:
        return {"orgId": scope.org_id}
    if scope.owner_id is not None:
        return {"ownerId": scope.owner_id}
    raise ValueError("a scope names somebody, or says that it is everybody's")
