"""An organisation's webhooks: where its events are sent, and which."""

from datetime import timedelta

from msgspec import Struct, structs

from handlers.base import BaseHandler
from handlers.credentials import DoneAnswer
from handlers.operation import Access, Answer, operation
from server.domain.times import WireTime, wire_time
from server.domain.webhooks import NewWebhook, Rotation, WebhookStatus, WebhookUpdate
from server.services.webhooks import WebhookState


class WebhookAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One webhook.

    Events up to ``after`` (as in ``GET /events``) are dealt with, but for those of the
    ``locksWaiting`` locks of which one waits for its next try.
    """

    id: str
    url: str
    events: list[str]
    description: str | None
    status: WebhookStatus
    disabled_reason: str | None
    after: str
    locks_waiting: int
    created_at: WireTime
    updated_at: WireTime


class NewWebhookAnswer(WebhookAnswer, frozen=True, kw_only=True):
    """A new webhook with its secret, which is shown only this once."""

    secret: str


class WebhookList(Struct, frozen=True, kw_only=True):
    """An organisation's webhooks, oldest first."""

    webhooks: list[WebhookAnswer]


class SecretAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A new secret, shown only this once; until then the last one signs as well."""

    secret: str
    previous_secret_until: WireTime


class WebhooksOfOrganization(BaseHandler):
    """The organisation's webhooks."""

    @operation(Access.OPERATOR, {200: Answer(WebhookList)}, errors=(403,))
    async def get(self) -> None:
        """The organisation's webhooks."""
        states = await self.services.webhooks.list_of(self.operator)
        self.write_json(WebhookList(webhooks=[_answer(state) for state in states]))

    @operation(Access.OPERATOR, {201: Answer(NewWebhookAnswer)}, errors=(403, 409), body=NewWebhook)
    async def post(self, body: NewWebhook) -> None:
        """Subscribe to the events that happen from now on."""
        issued = await self.services.webhooks.create(self.operator, body)
        shown = _answer(WebhookState(webhook=issued.webhook, locks_waiting=0))
        answer = NewWebhookAnswer(secret=issued.secret, **structs.asdict(shown))
        self.write_json(answer, status=201)


class OneWebhook(BaseHandler):
    """One webhook."""

    @operation(Access.OPERATOR, {200: Answer(WebhookAnswer)}, errors=(403, 404))
    async def get(self, webhook_id: str) -> None:
        """One webhook, and how far its deliveries have come."""
        self.write_json(_answer(await self.services.webhooks.find(self.operator, webhook_id)))

    @operation(
        Access.OPERATOR, {200: Answer(WebhookAnswer)}, errors=(403, 404, 409), body=WebhookUpdate
    )
    async def patch(self, webhook_id: str, body: WebhookUpdate) -> None:
        """Change a webhook, switch it off, or on again with all that waits sent at once."""
        state = await self.services.webhooks.update(self.operator, webhook_id, body)
        self.write_json(_answer(state))

    @operation(Access.OPERATOR, {200: Answer(DoneAnswer)}, errors=(403, 404))
    async def delete(self, webhook_id: str) -> None:
        """Remove a webhook: nothing more is delivered."""
        await self.services.webhooks.delete(self.operator, webhook_id)
        self.write_json(DoneAnswer())


class RotateSecret(BaseHandler):
    """The signing secret of a webhook."""

    @operation(Access.OPERATOR, {200: Answer(SecretAnswer)}, errors=(403, 404, 409), body=Rotation)
    async def post(self, webhook_id: str, body: Rotation) -> None:
        """Sign with a new secret; for some hours with the last one as well."""
        overlap = timedelta(hours=body.overlap_hours)
        rotated = await self.services.webhooks.rotate_secret(self.operator, webhook_id, overlap)
        until = wire_time(rotated.previous_until)
        self.write_json(SecretAnswer(secret=rotated.secret, previous_secret_until=until))


def _answer(state: WebhookState) -> WebhookAnswer:
    webhook = state.webhook
    return WebhookAnswer(
        id=webhook.id,
        url=webhook.url,
        events=webhook.events,
        description=webhook.description,
        status=webhook.status,
        disabled_reason=webhook.disabled_reason,
        after=str(webhook.cursor),
        locks_waiting=state.locks_waiting,
        created_at=wire_time(webhook.created_at),
        updated_at=wire_time(webhook.updated_at),
    )
