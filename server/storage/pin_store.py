"""The PINs of temp keys, each claimed at all its locks or at none."""

from datetime import datetime

from msgspec import Struct
from pymongo.errors import DuplicateKeyError

from server.storage.mongo import Database, Documents, reports_outages


class PinDigest(Struct, frozen=True, kw_only=True, rename="camel"):
    """By what a PIN is found at one lock."""

    lock_id: int
    digest: str


class StoredPin(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is kept of a key's PIN, until the key is over at ``valid_until`` or revoked."""

    key_uuid: str
    locks: list[PinDigest]
    sealed: bytes
    valid_until: datetime


_pins = Documents(StoredPin, id_name="keyUuid")


@reports_outages
class PinStore:
    """The collection ``pins``: one document per key that has one.

    A unique index over the entries of ``locks`` lets a PIN be in use once at each lock, and
    as they are all in one document, it is claimed for all doors of its key at once.
    """

    def __init__(self, database: Database) -> None:
        self._pins = database["pins"]

    async def claim(self, pin: StoredPin, now: datetime) -> bool:
        """Claim a PIN for its key; PINs of keys that are over by ``now`` are in nobody's way.

        Returns:
            False where it is in use at one of the locks, or the key has another PIN.
        """
        if await self._insert(pin):
            return True
        digests = [lock.digest for lock in pin.locks]
        over = {"locks.digest": {"$in": digests}, "validUntil": {"$lte": now}}
        freed = await self._pins.delete_many(
            {"locks.lockId": {"$in": [lock.lock_id for lock in pin.locks]}, **over}
        )
        return freed.deleted_count > 0 and await self._insert(pin)

    async def find(self, lock_id: int, digest: str) -> StoredPin | None:
        """The PIN with that digest at a lock."""
        document = await self._pins.find_one(
            {"locks": {"$elemMatch": {"lockId": lock_id, "digest": digest}}}
        )
        return None if document is None else _pins.read(document)

    async def find_of_key(self, key_uuid: str) -> StoredPin | None:
        """The PIN of a key."""
        document = await self._pins.find_one({"_id": key_uuid})
        return None if document is None else _pins.read(document)

    async def prolong(self, key_uuid: str, valid_until: datetime) -> bool:
        """Keep a key's PIN until ``valid_until`` at least; whether the key has one."""
        done = await self._pins.update_one({"_id": key_uuid}, {"$max": {"validUntil": valid_until}})
        return done.matched_count == 1

    async def free(self, key_uuid: str) -> None:
        """Give up the PIN of a key, so that another may have it."""
        await self._pins.delete_one({"_id": key_uuid})

    async def _insert(self, pin: StoredPin) -> bool:
        try:
            await self._pins.insert_one(_pins.write(pin))
        except DuplicateKeyError:
            return False
        return True
