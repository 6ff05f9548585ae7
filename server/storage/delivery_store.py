"""What became of deliveries, and which locks lag behind with theirs."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.domain.errors import ChangedMeanwhile, DeliveryNotFound, DeliveryWaiting
from server.domain.webhooks import (
    MOST_ATTEMPTS_KEPT,
    Attempt,
    Delivery,
    DeliveryState,
    LaggingLock,
    Webhook,
)
from server.storage.mongo import Database, Document, Documents, reports_outages

_deliveries = Documents(Delivery)

_KEPT = timedelta(days=30)
_OVER = [DeliveryState.DELIVERED.value, DeliveryState.FAILED.value]


@reports_outages
class DeliveryStore:
    """The collection ``deliveries``: a document per event and webhook, for thirty days.

    It is the log. What is still to be delivered does not depend on it.
    """

    def __init__(self, database: Database) -> None:
        self._deliveries = database["deliveries"]

    async def record(self, delivery: Delivery, attempt: Attempt) -> Delivery:
        """Write down an attempt and what the delivery has come to.

        Returns:
            The delivery with all the attempts that are kept.
        """
        fields = _deliveries.write(delivery)
        lasting = {
            name: fields[name]
            for name in ("webhookId", "eventId", "lockId", "version", "type", "createdAt")
        }
        now: Document = {"state": fields["state"], "forgetAt": attempt.at + _KEPT}
        over: Document = {"sendingUntil": ""}
        if "nextTryAt" in fields:
            now["nextTryAt"] = fields["nextTryAt"]
        else:
            over["nextTryAt"] = ""
        tried = msgspec.to_builtins(attempt, builtin_types=(datetime,))
        document = await self._deliveries.find_one_and_update(
            {"_id": delivery.id},
            {
                "$setOnInsert": lasting,
                "$set": now,
                "$unset": over,
                "$push": {"attempts": {"$each": [tried], "$slice": -MOST_ATTEMPTS_KEPT}},
            },
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return _deliveries.read(document)

    async def over(self, delivery_ids: Iterable[str]) -> set[str]:
        """Which of these deliveries are delivered, or failed for good."""
        cursor = self._deliveries.find(
            {"_id": {"$in": list(delivery_ids)}, "state": {"$in": _OVER}}, {"_id": 1}
        )
        return {document["_id"] async for document in cursor}

    async def claim_again(self, delivery_id: str, webhook_id: str, lease: timedelta) -> Delivery:
        """Take a delivery that is over, to send its event once more.

        Raises:
            DeliveryNotFound: the webhook has no such delivery.
            DeliveryWaiting: it is not over, or somebody else has it.
        """
        free = {"$lt": ["$sendingUntil", "$$NOW"]}  # nothing is less than any time
        until = {"$add": ["$$NOW", round(lease.total_seconds() * 1000)]}
        document = await self._deliveries.find_one_and_update(
            {"_id": delivery_id, "webhookId": webhook_id, "state": {"$in": _OVER}, "$expr": free},
            [{"$set": {"sendingUntil": until}}],
            return_document=ReturnDocument.AFTER,
        )
        if document is not None:
            return _deliveries.read(document)
        known = {"_id": delivery_id, "webhookId": webhook_id}
        if await self._deliveries.find_one(known, {"_id": 1}) is None:
            raise DeliveryNotFound
        raise DeliveryWaiting

    async def list_of(
        self,
        webhook_id: str,
        limit: int,
        state: DeliveryState | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> list[Delivery]:
        """A webhook's newest deliveries, newest first.

        ``before`` are the time and the id of the last one that the caller has already.
        """
        wanted: Document = {"webhookId": webhook_id}
        if state is not None:
            wanted["state"] = state.value
        if before is not None:
            at, delivery_id = before
            wanted["$or"] = [
                {"createdAt": {"$lt": at}},
                {"createdAt": at, "_id": {"$lt": delivery_id}},
            ]
        cursor = self._deliveries.find(wanted).sort([("createdAt", -1), ("_id", -1)]).limit(limit)
        return [_deliveries.read(document) async for document in cursor]


@reports_outages
class LaggingLockStore:
    """The collection ``webhookLags``: a document per webhook and lock that lags behind.

    Only what the latest holder of a webhook's lease writes counts (see ``WebhookStore``).
    """

    def __init__(self, database: Database) -> None:
        self._lags = database["webhookLags"]

    async def list_of(self, webhook_id: str) -> list[LaggingLock]:
        """The locks that lag behind with their deliveries to a webhook."""
        cursor = self._lags.find({"webhookId": webhook_id})
        return [msgspec.convert(document, LaggingLock) async for document in cursor]

    async def count(self, webhook_id: str) -> int:
        """How many locks lag behind."""
        return await self._lags.count_documents({"webhookId": webhook_id})

    async def save(self, webhook: Webhook, lock: LaggingLock) -> None:
        """Write down where a lock stands.

        Raises:
            ChangedMeanwhile: another node delivers for the webhook by now.
        """
        fields = msgspec.to_builtins(lock, builtin_types=(datetime,))
        try:
            await self._lags.update_one(
                {"_id": _lag_id(webhook, lock.lock_id), "fence": {"$lte": webhook.fence}},
                {"$set": {"webhookId": webhook.id, "fence": webhook.fence, **fields}},
                upsert=True,
            )
        except DuplicateKeyError as error:  # there is one, with a higher fence
            raise ChangedMeanwhile from error

    async def make_due(self, webhook_id: str, now: datetime) -> None:
        """Let no event of a webhook wait any longer for its next try."""
        await self._lags.update_many({"webhookId": webhook_id}, {"$min": {"dueAt": now}})

    async def remove(self, webhook: Webhook, lock_id: int) -> None:
        """Write down that a lock lags behind no more.

        Raises:
            ChangedMeanwhile: another node delivers for the webhook by now.
        """
        done = await self._lags.delete_one(
            {"_id": _lag_id(webhook, lock_id), "fence": {"$lte": webhook.fence}}
        )
        if done.deleted_count == 0:
            raise ChangedMeanwhile

    async def remove_all(self, webhook_id: str) -> None:
        """Forget a webhook's locks."""
        await self._lags.delete_many({"webhookId": webhook_id})


def _lag_id(webhook: Webhook, lock_id: int) -> str:
    return f"{webhook.id}/{lock_id}"
