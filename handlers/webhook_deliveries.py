"""What became of deliveries to a webhook, and sending one more."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from handlers.paging import USUAL_PAGE, Limit, link_next
from server.domain.times import WireTime, wire_time
from server.domain.webhooks import Attempt, Delivery, DeliveryState

_CURSOR = r"^[0-9]{1,14}-[0-9a-z-]{1,64}$(?!\n)"


class AttemptAnswer(Struct, frozen=True, kw_only=True):
    """One request: the receiver's status, or why there was none, and how its refusal begins."""

    at: WireTime
    ms: int
    status: int | None
    error: str | None
    answer: str | None


class DeliveryAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One event to one webhook, with its latest attempts, oldest first."""

    id: str
    event_id: str
    type: str
    lock_id: int
    version: int
    state: DeliveryState
    attempts: list[AttemptAnswer]
    created_at: WireTime
    next_try_at: WireTime | None


class DeliveryList(Struct, frozen=True, kw_only=True):
    """A webhook's newest deliveries, newest first."""

    deliveries: list[DeliveryAnswer]


class DeliveryQuery(Struct, frozen=True, kw_only=True):
    """Which deliveries, how many, and after which one."""

    state: DeliveryState | None = None
    limit: Limit = USUAL_PAGE
    after: Annotated[str, Meta(pattern=_CURSOR)] | None = None


class DeliveriesOfWebhook(BaseHandler):
    """The delivery log of a webhook."""

    @operation(Access.OPERATOR, {200: Answer(DeliveryList)}, errors=(403, 404), query=DeliveryQuery)
    async def get(self, webhook_id: str, query: DeliveryQuery) -> None:
        """A webhook's newest deliveries; they are kept for thirty days."""
        before = None if query.after is None else _read_cursor(query.after)
        deliveries = await self.services.webhooks.deliveries(
            self.operator, webhook_id, query.limit, query.state, before
        )
        if len(deliveries) == query.limit:
            link_next(self, _cursor(deliveries[-1]))
        self.write_json(DeliveryList(deliveries=[_answer(each) for each in deliveries]))


class Redeliver(BaseHandler):
    """A delivery, once more."""

    @operation(Access.OPERATOR, {200: Answer(DeliveryAnswer)}, errors=(403, 404, 409))
    async def post(self, webhook_id: str, delivery_id: str) -> None:
        """Send an event once more, now; it has the same id and body as before."""
        delivery = await self.services.webhooks.redeliver(self.operator, webhook_id, delivery_id)
        self.write_json(_answer(delivery))


class TestWebhook(BaseHandler):
    """Trying a webhook out."""

    @operation(Access.OPERATOR, {200: Answer(AttemptAnswer)}, errors=(403, 404))
    async def post(self, webhook_id: str) -> None:
        """Send a signed message that is no event, now, and tell what the receiver answered."""
        attempt = await self.services.webhooks.test(self.operator, webhook_id)
        self.write_json(_attempt(attempt))


def _cursor(delivery: Delivery) -> str:
    return f"{round(delivery.created_at.timestamp() * 1000)}-{delivery.id}"


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    milliseconds, _, delivery_id = cursor.partition("-")
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds))
    return at, delivery_id


def _attempt(attempt: Attempt) -> AttemptAnswer:
    return AttemptAnswer(
        at=wire_time(attempt.at),
        ms=attempt.ms,
        status=attempt.status,
        error=attempt.error,
        answer=attempt.answer,
    )


def _answer(delivery: Delivery) -> DeliveryAnswer:
    next_try_at = delivery.next_try_at
    return DeliveryAnswer(
        id=delivery.id,
        event_id=delivery.event_id,
        type=delivery.type,
        lock_id=delivery.lock_id,
        version=delivery.version,
        state=delivery.state,
        attempts=[_attempt(attempt) for attempt in delivery.attempts],
        created_at=wire_time(delivery.created_at),
        next_try_at=None if next_try_at is None else wire_time(next_try_at),
    )
