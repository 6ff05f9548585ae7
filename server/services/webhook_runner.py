"""Delivering for one webhook: each lock's events in order, the locks beside each other."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from server import clock
from server.domain.errors import ChangedMeanwhile
from server.domain.events import RecordedEvent
from server.domain.webhook_lanes import Lanes
from server.domain.webhooks import Attempt, LaggingLock, Webhook, delivery_id
from server.services.metrics import Metrics
from server.services.webhook_outcomes import DeliveryOutcomes, DeliveryPolicy, DeliveryStores
from server.services.webhook_sending import WebhookSender

MOST_AT_ONCE = 8
"""Requests to one receiver; after one that failed, one: nobody hammers on a closed door."""

_MOST_IN_MIND = 500
_BATCH = 100
_SAVE_EVERY_S = 0.5
_REST_S = 1.0
_READ_ANYWAY_EVERY_S = 5.0
_MARGIN_S = 1.0


class WebhookRunner:
    """Delivers for one webhook, as it was when this node took the lease on it.

    Whatever is stored lags behind what was done, never runs ahead of it: a runner that ends
    anywhere leaves events that are sent once more, and none that is not sent.
    """

    def __init__(
        self,
        webhook: Webhook,
        stores: DeliveryStores,
        sender: WebhookSender,
        policy: DeliveryPolicy,
        slots: asyncio.Semaphore,
        metrics: Metrics,
    ) -> None:
        self.webhook = webhook
        self._stores = stores
        self._sender = sender
        self._policy = policy
        self._slots = slots
        self._outcomes = DeliveryOutcomes(webhook, stores, policy, metrics)
        self._lanes = Lanes(webhook.cursor)
        self._lags: dict[int, LaggingLock] = {}
        self._catching_up: set[int] = set()
        self._reading = asyncio.Lock()
        self._wake = asyncio.Event()
        self._stopping = False
        self._last_failed = False
        self._in_flight = 0
        self._lease_until = 0.0
        self._read_at = float("-inf")
        self._saved_at = float("-inf")
        self._saved = webhook.cursor

    @property
    def locks_waiting(self) -> int:
        """Of how many locks an event waits for its next try, or is being caught up with."""
        return len(self._lags)

    # Said by the dispatch

    def renewed(self, lease_until: float) -> None:
        """The lease is good until then, by the monotonic clock."""
        self._lease_until = lease_until

    def news(self) -> None:
        """There are new events."""
        self._read_at = float("-inf")
        self._wake.set()

    def stop(self) -> None:
        """Begin no more deliveries; ``run`` returns once those under way have ended."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver until ``stop``.

        Raises:
            ExceptionGroup: of what went wrong: ``StorageUnavailable``, ``ChangedMeanwhile``
                where another node delivers by now, ``SecretUnreadable``.
        """
        async with asyncio.TaskGroup() as deliveries:
            lagging = await self._stores.lags.list_of(self.webhook.id)
            self._lags = {lock.lock_id: lock for lock in lagging}
            self._lanes = Lanes(self.webhook.cursor, self._lags)
            while not self._stopping:
                await self._read()
                self._start(deliveries)
                await self._save_cursor()
                await self._rest()
        await self._save_cursor(at_once=True)

    # Reading

    async def _read(self) -> None:
        if time.monotonic() - self._read_at < _READ_ANYWAY_EVERY_S:
            return
        while len(self._lanes) < _MOST_IN_MIND:
            read_at = time.monotonic()
            async with self._reading:
                events = await self._stores.event_log.list_in_order(
                    self._lanes.read_up_to, _BATCH, org_id=self.webhook.org_id
                )
                if events:
                    self._lanes.add(await self._to_send(events), events[-1].position)
            if len(events) < _BATCH:
                self._read_at = read_at
                return

    async def _to_send(self, events: list[RecordedEvent]) -> list[RecordedEvent]:
        """Those that are wanted, and were not dealt with by a node that did not come to say so."""
        wanted = {
            delivery_id(self.webhook.id, event.id): event
            for event in events
            if self.webhook.wants(event.type)
        }
        over = await self._stores.deliveries.over(wanted)
        return [event for name, event in wanted.items() if name not in over]

    # Sending

    def _start(self, deliveries: asyncio.TaskGroup) -> None:
        at_once = 1 if self._last_failed else MOST_AT_ONCE
        while self._in_flight < at_once and self._may_send():
            if lag := self._due():
                self._catching_up.add(lag.lock_id)
                work = partial(self._catch_up, lag)
            elif event := self._lanes.next():
                work = partial(self._deliver, event)
            else:
                return
            self._in_flight += 1
            deliveries.create_task(self._counted(work))

    async def _counted(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        finally:
            self._in_flight -= 1
            self._wake.set()

    def _may_send(self) -> bool:
        """Whether a request that begins now ends while no other node delivers."""
        ends = time.monotonic() + self._policy.timeout_s + _MARGIN_S
        return not self._stopping and ends < self._lease_until

    def _due(self) -> LaggingLock | None:
        now = clock.now()
        waiting = [lag for lag in self._lags.values() if lag.lock_id not in self._catching_up]
        first = min(waiting, key=lambda lag: lag.due_at, default=None)
        return first if first is not None and first.due_at <= now else None

    async def _deliver(self, event: RecordedEvent) -> None:
        """Send the first event of a lane."""
        attempt = await self._send(event)
        lag = await self._outcomes.concluded(event, 1, attempt)
        if lag is None:
            self._lanes.dealt_with(event)
        else:
            self._lanes.fell_behind(event)
            self._lags[lag.lock_id] = lag

    async def _catch_up(self, lag: LaggingLock) -> None:
        """Send a lagging lock's events, until one must wait again or all are dealt with."""
        try:
            while self._may_send() and (events := await self._events_behind(lag)):
                to_send = {event.position for event in await self._to_send(events)}
                for event in events:
                    if event.position in to_send:
                        if not self._may_send():
                            return
                        attempt = await self._send(event)
                        waits = await self._outcomes.concluded(event, lag.tries + 1, attempt)
                        if waits is not None:
                            self._lags[lag.lock_id] = waits
                            return
                    had_tries = lag.tries > 0
                    lag = LaggingLock(
                        lock_id=lag.lock_id, after=event.position, tries=0, due_at=clock.now()
                    )
                    self._lags[lag.lock_id] = lag
                    if had_tries:  # which are not the next event's
                        await self._stores.lags.save(self.webhook, lag)
                await self._stores.lags.save(self.webhook, lag)
        finally:
            self._catching_up.discard(lag.lock_id)

    async def _events_behind(self, lag: LaggingLock) -> list[RecordedEvent]:
        """The next events of a lagging lock; where there are none, it lags no more."""
        # While nothing is read: what is read later finds the lock in its lane again.
        async with self._reading:
            events = await self._stores.event_log.list_of_lock_in_order(
                lag.lock_id, self.webhook.org_id, lag.after, self._lanes.read_up_to, _BATCH
            )
            if not events:
                await self._stores.lags.remove(self.webhook, lag.lock_id)
                self._lanes.caught_up(lag.lock_id)
                del self._lags[lag.lock_id]
        return events

    async def _send(self, event: RecordedEvent) -> Attempt:
        async with self._slots:
            if not self._may_send():
                raise ChangedMeanwhile  # after a long wait for its turn
            attempt = await self._sender.send(self.webhook, event)
        self._last_failed = not attempt.succeeded
        if attempt.says_gone:
            self.stop()
        return attempt

    # Resting

    async def _save_cursor(self, *, at_once: bool = False) -> None:
        is_time = at_once or time.monotonic() - self._saved_at >= _SAVE_EVERY_S
        if self._lanes.cursor > self._saved and is_time:
            cursor = self._lanes.cursor
            await self._stores.webhooks.advance(self.webhook, cursor)
            self._saved, self._saved_at = cursor, time.monotonic()

    async def _rest(self) -> None:
        """Wait until something has ended or is new, or until a lagging lock is due."""
        now = clock.now()
        due = [
            (lag.due_at - now).total_seconds()
            for lag in self._lags.values()
            if lag.lock_id not in self._catching_up and lag.due_at > now
        ]
        try:
            async with asyncio.timeout(min([_REST_S, *due])):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()
