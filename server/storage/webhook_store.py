"""Webhooks, and which node delivers for each of them."""

from datetime import datetime, timedelta

from msgspec import structs
from pymongo import ReturnDocument

from server.domain.errors import ChangedMeanwhile, WebhookNotFound
from server.domain.webhooks import Webhook, WebhookStatus
from server.storage.mongo import Database, Document, Documents, Transaction, reports_outages

_webhooks = Documents(Webhook)

_SETTINGS = ("url", "events", "description", "status", "disabled_reason", "secrets", "updated_at")


@reports_outages
class WebhookStore:
    """The collection ``webhooks``.

    The node that delivers for a webhook has a lease on it, in time by MongoDB's clock alone.
    Each lease has a higher ``fence``: what an earlier holder still writes is refused.
    """

    def __init__(self, database: Database) -> None:
        self._webhooks = database["webhooks"]

    async def insert(self, webhook: Webhook) -> None:
        """Add a webhook; its id is random and so never taken."""
        await self._webhooks.insert_one(_webhooks.write(webhook))

    async def find(self, webhook_id: str, org_id: str) -> Webhook:
        """An organisation's webhook.

        Raises:
            WebhookNotFound: it has no such webhook.
        """
        document = await self._webhooks.find_one({"_id": webhook_id, "orgId": org_id})
        if document is None:
            raise WebhookNotFound
        return _webhooks.read(document)

    async def list_of(self, org_id: str) -> list[Webhook]:
        """An organisation's webhooks, oldest first."""
        cursor = self._webhooks.find({"orgId": org_id}).sort([("createdAt", 1), ("_id", 1)])
        return [_webhooks.read(document) async for document in cursor]

    async def list_active(self) -> list[Webhook]:
        """All webhooks to deliver for."""
        cursor = self._webhooks.find({"status": WebhookStatus.ACTIVE.value})
        return [_webhooks.read(document) async for document in cursor]

    async def save(self, before: Webhook, after: Webhook) -> None:
        """Write down in which settings ``after`` differs.

        Raises:
            ChangedMeanwhile: the webhook is not as it was ``before``.
        """
        done = await self._webhooks.update_one(
            {"_id": before.id, "updatedAt": before.updated_at}, _changes(before, after)
        )
        if done.matched_count == 0:
            raise ChangedMeanwhile("The webhook was changed at the same time. Please try again")

    async def disable(
        self, webhook_id: str, reason: str, now: datetime, transaction: Transaction | None = None
    ) -> None:
        """Deliver no more until somebody says so.

        Raises:
            ChangedMeanwhile: it was so already, or the webhook is gone.
        """
        done = await self._webhooks.update_one(
            {"_id": webhook_id, "status": WebhookStatus.ACTIVE.value},
            {
                "$set": {
                    "status": WebhookStatus.DISABLED.value,
                    "disabledReason": reason,
                    "updatedAt": now,
                }
            },
            session=transaction,
        )
        if done.matched_count == 0:
            raise ChangedMeanwhile

    async def delete(self, webhook_id: str, org_id: str) -> None:
        """Forget a webhook.

        Raises:
            WebhookNotFound: the organisation has no such webhook.
        """
        done = await self._webhooks.delete_one({"_id": webhook_id, "orgId": org_id})
        if done.deleted_count == 0:
            raise WebhookNotFound

    # Who delivers

    async def claim(self, webhook_id: str, node_id: str, lease: timedelta) -> Webhook | None:
        """Take the lease on an active webhook; None where another node has it."""
        free = {"$lt": ["$lease.until", "$$NOW"]}  # no lease is less than any time
        document = await self._webhooks.find_one_and_update(
            {"_id": webhook_id, "status": WebhookStatus.ACTIVE.value, "$expr": free},
            [
                {
                    "$set": {
                        "lease": {"nodeId": {"$literal": node_id}, "until": _from_now(lease)},
                        "fence": {"$add": ["$fence", 1]},
                    }
                }
            ],
            return_document=ReturnDocument.AFTER,
        )
        return None if document is None else _webhooks.read(document)

    async def renew(self, webhook: Webhook, lease: timedelta) -> Webhook | None:
        """Keep the lease that ``claim`` gave, even where it ran out and nobody else took it.

        Returns:
            The webhook as it is now; None where it is not to be delivered for any more.
        """
        document = await self._webhooks.find_one_and_update(
            {"_id": webhook.id, "fence": webhook.fence, "status": WebhookStatus.ACTIVE.value},
            [{"$set": {"lease.until": _from_now(lease)}}],
            return_document=ReturnDocument.AFTER,
        )
        return None if document is None else _webhooks.read(document)

    async def release(self, webhook: Webhook) -> None:
        """Give the lease back, so that nobody has to wait for it to run out."""
        await self._webhooks.update_one(
            {"_id": webhook.id, "fence": webhook.fence}, {"$unset": {"lease": ""}}
        )

    async def advance(self, webhook: Webhook, cursor: int) -> None:
        """Write down up to which position events are dealt with.

        Raises:
            ChangedMeanwhile: another node delivers by now, or the webhook is gone.
        """
        done = await self._webhooks.update_one(
            {"_id": webhook.id, "fence": webhook.fence}, {"$max": {"cursor": cursor}}
        )
        if done.matched_count == 0:
            raise ChangedMeanwhile


def _from_now(lease: timedelta) -> Document:
    return {"$add": ["$$NOW", round(lease.total_seconds() * 1000)]}


def _changes(before: Webhook, after: Webhook) -> Document:
    old, new = _webhooks.write(before), _webhooks.write(after)
    names = [field.encode_name for field in structs.fields(Webhook) if field.name in _SETTINGS]
    changed = {name: new[name] for name in names if name in new and new[name] != old.get(name)}
    gone = {name: "" for name in names if name in old and name not in new}
    return {"$set": changed, "$unset": gone} if gone else {"$set": changed}
