"""Temp keys and the uses that are taken of them."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from server.domain.errors import AlreadyExists, ChangedMeanwhile, TempKeyNotFound
from server.domain.pages import EVERYTHING, Page
from server.domain.refusals import KeyUsedUp
from server.domain.temp_keys import (
    SAME_TAP,
    Claim,
    ClaimedUse,
    TempKey,
    check_key,
    claim_for_same_tap,
)
from server.storage.mongo import (
    Database,
    Document,
    Documents,
    Transaction,
    older_than,
    reports_outages,
)

_keys = Documents(TempKey, id_name="uuid")


@reports_outages
class TempKeyStore:
    """The collection ``tempKeys``: one document per key, with its doors and unsettled claims."""

    def __init__(self, database: Database) -> None:
        self._keys = database["tempKeys"]

    async def insert(self, key: TempKey, transaction: Transaction | None = None) -> None:
        """Add a key.

        Raises:
            AlreadyExists: its uuid is taken.
        """
        try:
            await self._keys.insert_one(_keys.write(key), session=transaction)
        except DuplicateKeyError as error:
            raise AlreadyExists("There is a key with this uuid already") from error

    async def find(self, key_uuid: str) -> TempKey:
        """The key with that uuid, whoever's it is: for a guest, who knows nothing else.

        Raises:
            TempKeyNotFound: there is none.
        """
        document = await self._keys.find_one({"_id": key_uuid})
        if document is None:
            raise TempKeyNotFound
        return _keys.read(document)

    async def list_of_lock(
        self, lock_id: int, org_id: str, page: Page = EVERYTHING
    ) -> list[TempKey]:
        """The organisation's keys that touch a lock, newest first."""
        return await self._list({"doors.lockId": lock_id, "orgId": org_id}, page)

    async def list_unrevoked_of_lock(self, lock_id: int, org_id: str, page: Page) -> list[TempKey]:
        """Those of ``list_of_lock`` that are not revoked."""
        wanted = {"doors.lockId": lock_id, "orgId": org_id, "revokedAt": None}
        return await self._list(wanted, page)

    async def list_of_organization(self, org_id: str, page: Page = EVERYTHING) -> list[TempKey]:
        """The organisation's keys, newest first."""
        return await self._list({"orgId": org_id}, page)

    async def list_made_by(self, creator: str, page: Page = EVERYTHING) -> list[TempKey]:
        """The keys that one caller has issued, newest first."""
        return await self._list({"createdBy": creator}, page)

    async def update(self, before: TempKey, after: TempKey, transaction: Transaction) -> None:
        """Write down those fields in which ``after`` differs; uses that are taken stay taken.

        Raises:
            ChangedMeanwhile: one of these fields is not as it was in ``before``.
        """
        old, new = _keys.write(before), _keys.write(after)
        names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
        done = await self._keys.update_one(
            {"_id": after.uuid, "orgId": after.org_id, **{name: old.get(name) for name in names}},
            [{"$set": {name: {"$literal": new.get(name)} for name in names}}],
            session=transaction,
        )
        if done.matched_count == 0:
            raise ChangedMeanwhile("The key was changed at the same time. Please try again")

    async def revoke(
        self, key_uuid: str, org_id: str, now: datetime, transaction: Transaction | None = None
    ) -> None:
        """Set ``revokedAt``.

        Raises:
            ChangedMeanwhile: it is set already.
        """
        done = await self._keys.update_one(
            {"_id": key_uuid, "orgId": org_id, "revokedAt": None},
            {"$set": {"revokedAt": now}},
            session=transaction,
        )
        if done.matched_count == 0:
            raise ChangedMeanwhile("The key is revoked already")

    async def take_use(
        self, key_uuid: str, org_id: str, now: datetime, transaction: Transaction
    ) -> TempKey:
        """Take one use of the key without a command of ours: somebody else opens the door.

        Returns:
            The key with this use counted.

        Raises:
            TempKeyNotFound: the organisation has no such key.
            KeyRefused: ``check_key`` says why it may not be used at ``now``.
        """
        document = await self._keys.find_one_and_update(
            {"_id": key_uuid, "orgId": org_id, **_usable(now)},
            {"$inc": {"usedCount": 1}},
            return_document=ReturnDocument.AFTER,
            session=transaction,
        )
        if document is not None:
            return _keys.read(document)
        check_key(await self.find(key_uuid), now)
        raise TempKeyNotFound

    async def claim_use(self, key_uuid: str, claim: Claim) -> ClaimedUse:
        """Take one use of the key for a command, unless the same tap took one already.

        One atomic update, so that two guests on two nodes cannot both take the last use.

        Returns:
            ``claim`` and its number, or the earlier claim that this tap repeats.

        Raises:
            TempKeyNotFound: there is no such key.
            KeyRefused: ``check_key`` says why it may not be used at ``claim.at``.
        """
        same_tap: list[dict[str, object]] = [{"commandId": claim.command_id}]
        if not claim.marked:
            since = claim.at - SAME_TAP
            same_tap.append(
                {"doorId": claim.door_id, "at": {"$gt": since}, "marked": {"$ne": True}}
            )
        usable = {
            "_id": key_uuid,
            **_usable(claim.at),
            "claims": {"$not": {"$elemMatch": {"$or": same_tap}}},
        }
        claimed = await self._keys.find_one_and_update(
            usable,
            {
                "$inc": {"usedCount": 1},
                "$push": {"claims": msgspec.to_builtins(claim, builtin_types=(datetime,))},
            },
            projection={"usedCount": 1},
            return_document=ReturnDocument.AFTER,
        )
        if claimed is not None:
            return ClaimedUse(claim=claim, use_number=claimed["usedCount"])
        key = await self.find(key_uuid)
        earlier = claim_for_same_tap(
            key, claim.door_id, claim.command_id, claim.at, marked=claim.marked
        )
        if earlier is not None:
            return ClaimedUse(claim=earlier, use_number=None)
        check_key(key, claim.at)
        # What stood in the way is gone by now (a use was given back between the two
        # calls): to this guest, the key was used up.
        raise KeyUsedUp

    async def give_use_back(self, key_uuid: str, command_id: str) -> None:
        """Undo the claim of a command that certainly did not open its door.

        The claim itself is the proof that the use was not given back before.
        """
        await self._keys.update_one(
            {"_id": key_uuid, "claims.commandId": command_id},
            {"$inc": {"usedCount": -1}, "$pull": {"claims": {"commandId": command_id}}},
        )

    async def settle_claims(self, claims: Iterable[tuple[str, str]]) -> None:
        """Forget claims whose uses stay counted, each given by its key's and its command's id."""
        forgetting = [
            UpdateOne({"_id": key_uuid}, {"$pull": {"claims": {"commandId": command_id}}})
            for key_uuid, command_id in claims
        ]
        if forgetting:
            await self._keys.bulk_write(forgetting, ordered=False)

    async def find_with_claims_before(self, instant: datetime, limit: int) -> list[TempKey]:
        """Keys with a claim that ran out before ``instant``, the latest first."""
        cursor = self._keys.find({"claims.expiresAt": {"$lt": instant}})
        # Claims of unconfirmed commands stay for a day: they must not stand before new ones.
        cursor = cursor.sort("claims.expiresAt", -1).limit(limit)
        return [_keys.read(document) async for document in cursor]

    async def _list(self, wanted: Document, page: Page) -> list[TempKey]:
        if page.after is not None:
            wanted = wanted | older_than("createdAt", page.after)
        cursor = self._keys.find(wanted).sort([("createdAt", -1), ("_id", -1)])
        return [_keys.read(document) async for document in cursor.limit(page.limit)]


def _usable(at: datetime) -> Document:
    """What ``check_key`` asks of a key, as a filter."""
    return {
        "revokedAt": None,
        "validFrom": {"$lte": at},
        "validUntil": {"$gt": at},
        "$or": [{"maxUses": None}, {"$expr": {"$lt": ["$usedCount", "$maxUses"]}}],
    }
