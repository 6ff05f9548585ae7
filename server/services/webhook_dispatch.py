"""Which webhooks this node delivers for: those whose lease it got, for as long as it keeps it."""

import asyncio
import time
from datetime import datetime

import structlog
from msgspec import Struct

from server.domain.errors import ChangedMeanwhile, StorageUnavailable
from server.domain.webhooks import Webhook
from server.services.metrics import Metrics
from server.services.tasks import Tasks
from server.services.webhook_outcomes import DeliveryPolicy, DeliveryStores
from server.services.webhook_runner import WebhookRunner
from server.services.webhook_sending import SecretUnreadable, WebhookSender

log = structlog.get_logger(__name__)

MOST_REQUESTS = 256
"""Under way at once from this node."""

_LOOK_EVERY_S = 1.0
_FOLLOW_EVERY_S = 0.2
_NEWS_AT_ONCE = 1000
_AFTER_TROUBLE_S = 5.0
_AFTER_UNREADABLE_S = 60.0
_WAIT_FOR_STORAGE_S = 1.0


class _HeldOff(Struct, frozen=True, kw_only=True):
    """Until when (monotonic) a webhook is left alone after trouble, unless somebody changes it."""

    until: float
    updated_at: datetime


class WebhookDispatch:
    """Takes leases on webhooks and runs a ``WebhookRunner`` for each.

    Any number of nodes may do this: a webhook has one lease, so that its events are sent
    by one of them at a time.
    """

    def __init__(
        self,
        node_id: str,
        stores: DeliveryStores,
        sender: WebhookSender,
        policy: DeliveryPolicy,
        metrics: Metrics,
    ) -> None:
        self._node_id = node_id
        self._stores = stores
        self._sender = sender
        self._policy = policy
        self._metrics = metrics
        self._slots = asyncio.Semaphore(MOST_REQUESTS)
        self._runners: dict[str, WebhookRunner] = {}
        self._held_off: dict[str, _HeldOff] = {}
        self._tasks = Tasks()
        self._stopping = False
        self._seen: int | None = None

    @property
    def locks_waiting(self) -> int:
        """Of how many locks an event waits for its next try, over this node's webhooks."""
        return sum(runner.locks_waiting for runner in self._runners.values())

    async def run_forever(self) -> None:
        """Take and keep leases: run as a task of every node."""
        while True:
            try:
                await self._look()
            except StorageUnavailable:
                await asyncio.sleep(_WAIT_FOR_STORAGE_S)
            except Exception:
                log.exception("webhooks_not_looked_at")  # nobody else would go on with it
            await asyncio.sleep(_LOOK_EVERY_S)

    async def follow_forever(self) -> None:
        """Wake up whom new events concern: run as a task of every node."""
        while True:
            try:
                await self._follow()
            except StorageUnavailable:
                await asyncio.sleep(_WAIT_FOR_STORAGE_S)
            except Exception:
                log.exception("events_not_followed")  # nobody else would go on with it
            await asyncio.sleep(_FOLLOW_EVERY_S)

    async def stop(self, within_s: float) -> None:
        """Begin no more deliveries, and let those under way end; leases are given back."""
        self._stopping = True
        for runner in self._runners.values():
            runner.stop()
        await self._tasks.finish(within_s)

    async def _look(self) -> None:
        active = {webhook.id: webhook for webhook in await self._stores.webhooks.list_active()}
        self._held_off = {name: held for name, held in self._held_off.items() if name in active}
        for webhook_id, runner in list(self._runners.items()):
            if webhook_id in active:
                await self._renew(runner)
            else:
                runner.stop()
        for webhook in active.values():
            if webhook.id not in self._runners and self._is_time_for(webhook):
                await self._claim(webhook)

    def _is_time_for(self, webhook: Webhook) -> bool:
        held_off = self._held_off.get(webhook.id)
        in_trouble = (
            held_off is not None
            and held_off.updated_at == webhook.updated_at
            and time.monotonic() < held_off.until
        )
        return not self._stopping and not in_trouble

    def _hold_off(self, webhook: Webhook, for_s: float) -> None:
        until = time.monotonic() + for_s
        self._held_off[webhook.id] = _HeldOff(until=until, updated_at=webhook.updated_at)

    async def _claim(self, webhook: Webhook) -> None:
        asked_at = time.monotonic()
        claimed = await self._stores.webhooks.claim(webhook.id, self._node_id, self._policy.lease)
        if claimed is None:
            return
        if self._stopping:
            await self._stores.webhooks.release(claimed)
            return
        runner = WebhookRunner(
            claimed, self._stores, self._sender, self._policy, self._slots, self._metrics
        )
        runner.renewed(asked_at + self._policy.lease.total_seconds())
        self._runners[webhook.id] = runner
        self._tasks.spawn(self._run(runner), f"webhook-{webhook.id}")

    async def _renew(self, runner: WebhookRunner) -> None:
        asked_at = time.monotonic()
        renewed = await self._stores.webhooks.renew(runner.webhook, self._policy.lease)
        if renewed is None or renewed.updated_at != runner.webhook.updated_at:
            runner.stop()  # the next one knows what has changed
        else:
            runner.renewed(asked_at + self._policy.lease.total_seconds())

    async def _run(self, runner: WebhookRunner) -> None:
        webhook = runner.webhook
        try:
            await runner.run()
        except* (StorageUnavailable, ChangedMeanwhile):
            log.info("webhook_delivery_interrupted", webhook=webhook.id)
            self._hold_off(webhook, _WAIT_FOR_STORAGE_S)
        except* SecretUnreadable:
            log.warning("webhook_secret_unreadable", webhook=webhook.id, host=webhook.host)
            self._hold_off(webhook, _AFTER_UNREADABLE_S)
        except* Exception:
            log.exception("webhook_delivery_broke", webhook=webhook.id, host=webhook.host)
            self._hold_off(webhook, _AFTER_TROUBLE_S)
        finally:
            del self._runners[webhook.id]
        try:
            await self._stores.webhooks.release(webhook)
        except StorageUnavailable:
            log.info("webhook_lease_left_to_run_out", webhook=webhook.id)

    async def _follow(self) -> None:
        event_log = self._stores.event_log
        if self._seen is None:
            self._seen = await event_log.newest_place()
        organizations, self._seen = await event_log.organizations_after(self._seen, _NEWS_AT_ONCE)
        for runner in self._runners.values():
            if runner.webhook.org_id in organizations:
                runner.news()
