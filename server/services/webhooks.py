"""An organisation's webhooks, as it manages them."""

from datetime import datetime, timedelta

from msgspec import UNSET, Struct, structs

from server import clock
from server.domain.errors import (
    DeliveryNotFound,
    Forbidden,
    TooManyWebhooks,
    WebhooksOff,
)
from server.domain.organizations import Operator
from server.domain.secrets import new_id
from server.domain.webhook_envelope import test_envelope
from server.domain.webhooks import (
    MOST_WEBHOOKS,
    Attempt,
    Delivery,
    DeliveryState,
    NewWebhook,
    SealedSecret,
    Webhook,
    WebhookStatus,
    WebhookUpdate,
    check_events,
    delivery_of,
)
from server.services.webhook_outcomes import DeliveryPolicy, DeliveryStores, switch_off
from server.services.webhook_sending import CheckUrl, SigningSecrets, WebhookSender


class IssuedSecret(Struct, frozen=True, kw_only=True):
    """A new webhook with its secret."""

    webhook: Webhook
    secret: str


class RotatedSecret(Struct, frozen=True, kw_only=True):
    """A webhook's new secret, and until when the last one signs beside it."""

    secret: str
    previous_until: datetime


class WebhookState(Struct, frozen=True, kw_only=True):
    """A webhook, and how many locks have an event that waits for its next try."""

    webhook: Webhook
    locks_waiting: int


class Signing(Struct, frozen=True, kw_only=True):
    """What a server needs to send for webhooks: one that has no secret of its own has none."""

    secrets: SigningSecrets
    sender: WebhookSender


class Webhooks:
    """Webhooks belong to organisations: everybody else is refused (``Forbidden``).

    Whatever names a webhook raises ``WebhookNotFound`` where the organisation has none such.
    """

    def __init__(
        self,
        stores: DeliveryStores,
        check_url: CheckUrl,
        policy: DeliveryPolicy,
        signing: Signing | None,
    ) -> None:
        self._stores = stores
        self._check_url = check_url
        self._policy = policy
        self._signing = signing

    async def create(self, operator: Operator, wanted: NewWebhook) -> IssuedSecret:
        """Subscribe to what happens from now on.

        Raises:
            InvalidInput: there is no such event, or nothing is sent to such a URL.
            TooManyWebhooks: there are enough.
            WebhooksOff: this server cannot sign.
        """
        org_id, signing = _organization(operator), self._required_signing()
        check_events(wanted.events)
        await self._check_url(wanted.url)
        if len(await self._stores.webhooks.list_of(org_id)) >= MOST_WEBHOOKS:
            raise TooManyWebhooks
        now, webhook_id = clock.now(), new_id()
        secret, sealed = signing.secrets.issue(webhook_id)
        webhook = Webhook(
            id=webhook_id,
            org_id=org_id,
            url=wanted.url,
            events=wanted.events,
            description=wanted.description,
            secrets=[sealed],
            created_at=now,
            updated_at=now,
            cursor=await self._stores.event_log.newest_place(),
        )
        await self._stores.webhooks.insert(webhook)
        return IssuedSecret(webhook=webhook, secret=secret)

    async def list_of(self, operator: Operator) -> list[WebhookState]:
        """The organisation's webhooks, oldest first."""
        webhooks = await self._stores.webhooks.list_of(_organization(operator))
        return [await self._state(webhook) for webhook in webhooks]

    async def find(self, operator: Operator, webhook_id: str) -> WebhookState:
        """One webhook."""
        return await self._state(await self._find(operator, webhook_id))

    async def update(
        self, operator: Operator, webhook_id: str, update: WebhookUpdate
    ) -> WebhookState:
        """Change a webhook, and with ``status`` active send at once what waits for its next try.

        Raises:
            InvalidInput: there is no such event, or nothing is sent to such a URL.
            ChangedMeanwhile: somebody else changes it at the same time.
        """
        if update.events is not UNSET:
            check_events(update.events)
        before = await self._find(operator, webhook_id)
        if update.url is not UNSET:
            await self._check_url(update.url)
        given = {
            name: value for name, value in structs.asdict(update).items() if value is not UNSET
        }
        after = structs.replace(before, **given, updated_at=_after(before))
        if after.status is WebhookStatus.ACTIVE:
            after = structs.replace(after, disabled_reason=None)
        if update.status is WebhookStatus.ACTIVE:
            await self._stores.lags.make_due(before.id, clock.now())
        await self._stores.webhooks.save(before, after)
        return await self._state(after)

    async def delete(self, operator: Operator, webhook_id: str) -> None:
        """Deliver no more, and forget the webhook."""
        await self._stores.webhooks.delete(webhook_id, _organization(operator))
        await self._stores.lags.remove_all(webhook_id)

    async def rotate_secret(
        self, operator: Operator, webhook_id: str, overlap: timedelta
    ) -> RotatedSecret:
        """Sign with a new secret; for ``overlap`` with the one before it as well.

        Raises:
            ChangedMeanwhile: somebody else changes the webhook at the same time.
            WebhooksOff: this server cannot sign.
        """
        signing = self._required_signing()
        before = await self._find(operator, webhook_id)
        secret, sealed = signing.secrets.issue(before.id)
        until = clock.now() + overlap
        last = SealedSecret(sealed=before.secrets[0].sealed, until=until)
        after = structs.replace(before, secrets=[sealed, last], updated_at=_after(before))
        await self._stores.webhooks.save(before, after)
        return RotatedSecret(secret=secret, previous_until=until)

    async def test(self, operator: Operator, webhook_id: str) -> Attempt:
        """Send something that is no event, now, whatever the webhook's status and filter.

        Raises:
            WebhooksOff: this server cannot sign.
        """
        signing = self._required_signing()
        webhook = await self._find(operator, webhook_id)
        test_id = f"test/{new_id()}"
        body = test_envelope(webhook, test_id, clock.now())
        return await signing.sender.send_body(webhook, test_id, body)

    # Deliveries

    async def deliveries(
        self,
        operator: Operator,
        webhook_id: str,
        limit: int,
        state: DeliveryState | None,
        before: tuple[datetime, str] | None,
    ) -> list[Delivery]:
        """The newest deliveries, newest first.

        ``before`` are the time and the id of the last one that the caller has already.
        """
        webhook = await self._find(operator, webhook_id)
        return await self._stores.deliveries.list_of(webhook.id, limit, state, before)

    async def redeliver(self, operator: Operator, webhook_id: str, delivery_id: str) -> Delivery:
        """Send an event once more, now: one that was delivered, or has failed for good.

        Raises:
            DeliveryNotFound: there is no such delivery, or its event is forgotten.
            DeliveryWaiting: it goes out by itself, or is being sent.
            WebhooksOff: this server cannot sign.
        """
        signing = self._required_signing()
        webhook = await self._find(operator, webhook_id)
        delivery = await self._stores.deliveries.claim_again(
            delivery_id, webhook.id, self._policy.lease
        )
        event = await self._stores.events.find(delivery.event_id)
        if event is None:
            raise DeliveryNotFound
        attempt = await signing.sender.send(webhook, event)
        # What was delivered once stays delivered.
        done = attempt.succeeded or delivery.state is DeliveryState.DELIVERED
        state = DeliveryState.DELIVERED if done else DeliveryState.FAILED
        if attempt.says_gone:
            await switch_off(self._stores, webhook, event)
        line = delivery_of(webhook, event, state, delivery.created_at)
        return await self._stores.deliveries.record(line, attempt)

    def _required_signing(self) -> Signing:
        if self._signing is None:
            raise WebhooksOff
        return self._signing

    async def _find(self, operator: Operator, webhook_id: str) -> Webhook:
        return await self._stores.webhooks.find(webhook_id, _organization(operator))

    async def _state(self, webhook: Webhook) -> WebhookState:
        waiting = await self._stores.lags.count(webhook.id)
        return WebhookState(webhook=webhook, locks_waiting=waiting)


def _organization(operator: Operator) -> str:
    """The organisation that is asking.

    Raises:
        Forbidden: it is somebody else.
    """
    if operator.org_id is None:
        raise Forbidden("Webhooks belong to an organisation: ask with its API key or token")
    return operator.org_id


def _after(before: Webhook) -> datetime:
    """Now, and in any case later than the last change, by which changes are told apart."""
    return max(clock.now(), before.updated_at + timedelta(milliseconds=1))
