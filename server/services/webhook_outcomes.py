"""What becomes of an event that was sent: written down, tried again later, or given up."""

import random
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from msgspec import Struct

from server import clock
from server.domain.errors import ChangedMeanwhile, LockNotFound
from server.domain.events import RecordedEvent, WebhookDisabled
from server.domain.times import wire_time
from server.domain.webhook_envelope import lock_uuid
from server.domain.webhooks import (
    Attempt,
    DeliveryState,
    LaggingLock,
    Webhook,
    delay_before_next,
    delivery_of,
)
from server.services.metrics import Metrics
from server.storage.delivery_store import DeliveryStore, LaggingLockStore
from server.storage.event_log import EventLog
from server.storage.event_store import EventStore
from server.storage.webhook_store import WebhookStore

log = structlog.get_logger(__name__)

_GONE = "gone"


class DeliveryPolicy(Struct, frozen=True, kw_only=True):
    """How long a receiver may take, and how long an event waits after each try in vain."""

    timeout_s: float
    delays_s: tuple[float, ...]

    @property
    def lease(self) -> timedelta:
        """For how long a node delivers without asking again: twice a request, and a little."""
        return timedelta(seconds=2 * self.timeout_s + 4)


class DeliveryStores(Struct, frozen=True, kw_only=True):
    """Where events are read, and where it is kept what became of them."""

    webhooks: WebhookStore
    deliveries: DeliveryStore
    lags: LaggingLockStore
    event_log: EventLog
    events: EventStore


class DeliveryOutcomes:
    """Concludes each try to deliver for one webhook."""

    def __init__(
        self, webhook: Webhook, stores: DeliveryStores, policy: DeliveryPolicy, metrics: Metrics
    ) -> None:
        self._webhook = webhook
        self._stores = stores
        self._policy = policy
        self._metrics = metrics

    async def concluded(
        self, event: RecordedEvent, tries: int, attempt: Attempt
    ) -> LaggingLock | None:
        """Write down what an attempt came to; where the event must wait, for how long."""
        if attempt.succeeded:
            await self._record(event, attempt, DeliveryState.DELIVERED)
            return None
        fraction = random.random()  # noqa: S311  # spreads retries, and is no secret
        delay = delay_before_next(tries, self._policy.delays_s, fraction)
        if attempt.says_gone:
            delay = timedelta(0)  # for when somebody switches the webhook on again
        if delay is None:
            await self._record(event, attempt, DeliveryState.FAILED)
            log.warning(
                "webhook_delivery_failed",
                webhook=self._webhook.id,
                host=self._webhook.host,
                event_id=event.id,
                tries=tries,
            )
            return None
        lag = LaggingLock(
            lock_id=event.lock_id,
            after=event.position - 1,
            tries=0 if attempt.says_gone else tries,
            due_at=clock.now() + delay,
        )
        await self._stores.lags.save(self._webhook, lag)
        await self._record(event, attempt, DeliveryState.WAITING, lag)
        if attempt.says_gone:
            await switch_off(self._stores, self._webhook, event)
        return lag

    async def _record(
        self,
        event: RecordedEvent,
        attempt: Attempt,
        state: DeliveryState,
        lag: LaggingLock | None = None,
    ) -> None:
        next_try_at = None if lag is None else lag.due_at
        delivery = delivery_of(self._webhook, event, state, attempt.at, next_try_at)
        await self._stores.deliveries.record(delivery, attempt)
        self._metrics.delivery_tried(state)


async def switch_off(stores: DeliveryStores, webhook: Webhook, event: RecordedEvent) -> None:
    """Deliver no more, for a receiver has said that it is gone; an event of the lock tells so."""
    log.warning("webhook_gone", webhook=webhook.id, host=webhook.host)
    now = clock.now()
    disabled = WebhookDisabled(
        lock_id=event.lock_id,
        timestamp=wire_time(now),
        uuid=lock_uuid(event),
        webhook_id=webhook.id,
        reason=_GONE,
    )
    disable: Callable[[Any], Coroutine[Any, Any, None]] = partial(
        stores.webhooks.disable, webhook.id, _GONE, now
    )
    try:
        await stores.events.record([disabled], now, disable)
    except ChangedMeanwhile:
        pass  # it is off already
    except LockNotFound:
        await stores.webhooks.disable(webhook.id, _GONE, now)
