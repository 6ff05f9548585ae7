"""One request to a receiver: signed after Standard Webhooks, and what came of it."""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from msgspec import structs
from standardwebhooks import Webhook as Signer

from server import clock
from server.domain.errors import LatchkeyError
from server.domain.events import RecordedEvent
from server.domain.webhook_envelope import envelope, message_id
from server.domain.webhooks import Attempt, Reply, SealedSecret, Webhook, new_signing_secret
from server.services.seal import Seal

Post = Callable[[str, Mapping[str, str], bytes], Awaitable[Reply]]
"""Posts a body to a URL within a bounded time; never raises for what a receiver does."""


CheckUrl = Callable[[str], Awaitable[None]]
"""Raises ``InvalidInput`` for a URL that nothing would be sent to."""


class SecretUnreadable(LatchkeyError):
    """A webhook's secret was sealed under another secret of the server's."""

    reason = "webhook_secret_unreadable"


class SigningSecrets:
    """The webhooks' secrets: sealed in the database, and read again to sign with them."""

    def __init__(self, secret: str) -> None:
        self._seal = Seal(secret, b"latchkey webhook seal")

    def issue(self, webhook_id: str) -> tuple[str, SealedSecret]:
        """A new secret: as its receiver gets it, and as it is stored."""
        secret = new_signing_secret()
        return secret, SealedSecret(sealed=self._seal.seal(webhook_id, secret))

    def sign(self, webhook: Webhook, message: str, at: datetime, body: bytes) -> str:
        """The signatures of a message by all secrets that are good at ``at``, newest first.

        Raises:
            SecretUnreadable: none of them can be read here.
        """
        good = [one.sealed for one in webhook.secrets if one.until is None or at < one.until]
        read = [self._seal.unseal(webhook.id, sealed) for sealed in good]
        signers = [Signer(secret) for secret in read if secret is not None]
        if not signers:
            raise SecretUnreadable("The secret was sealed under another LATCHKEY_WEBHOOK_SECRET")
        return " ".join(signer.sign(message, at, body.decode()) for signer in signers)


class WebhookSender:
    """Sends events to receivers."""

    def __init__(self, secrets: SigningSecrets, post: Post) -> None:
        self._secrets = secrets
        self._post = post

    async def send(self, webhook: Webhook, event: RecordedEvent) -> Attempt:
        """Send an event once; it has the same id and the same body each time.

        Raises:
            SecretUnreadable: it cannot be signed.
        """
        return await self.send_body(webhook, event.id, envelope(event))

    async def send_body(self, webhook: Webhook, event_id: str, body: bytes) -> Attempt:
        """Send a body under an id.

        Raises:
            SecretUnreadable: it cannot be signed.
        """
        at = clock.now()
        message = message_id(event_id)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._secrets.sign(webhook, message, at, body),
        }
        began = time.monotonic()
        reply = await self._post(webhook.url, headers, body)
        attempt = Attempt(
            at=at,
            ms=round((time.monotonic() - began) * 1000),
            status=reply.status,
            error=reply.error,
        )
        return attempt if attempt.succeeded else structs.replace(attempt, answer=reply.answer)
