"""Webhooks: what an organisation subscribes to, and what became of each delivery."""

import secrets
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from msgspec import UNSET, Meta, Struct, UnsetType

from server.domain.errors import InvalidInput
from server.domain.events import EVENT_TYPES, RecordedEvent
from server.domain.secrets import digest

MOST_WEBHOOKS = 20
"""How many an organisation may have."""
EVERY_EVENT = "*"
NEVER_DELIVERED = frozenset({"ReportedShadowUpdated", "DesiredShadowUpdated"})
"""Names that the SmartphoneKey API lets partners subscribe to and never delivers."""
MOST_ATTEMPTS_KEPT = 20
"""Of one delivery, in the log."""

_SECRET_BYTES = 32
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:")

EventName = Annotated[
    str,
    Meta(
        max_length=64,
        extra_json_schema={"enum": sorted({EVERY_EVENT, *EVENT_TYPES, *NEVER_DELIVERED})},
    ),
]
ReceiverUrl = Annotated[str, Meta(min_length=1, max_length=2048)]
Description = Annotated[str, Meta(max_length=200)]


class WebhookStatus(StrEnum):
    """Whether events are delivered; while they are not, they wait."""

    ACTIVE = "active"
    DISABLED = "disabled"


class NewWebhook(Struct, frozen=True, kw_only=True):
    """A subscription: where to send, and which events (``["*"]``: all of them)."""

    url: ReceiverUrl
    events: Annotated[list[EventName], Meta(min_length=1, max_length=50)]
    description: Description | None = None


class WebhookUpdate(Struct, frozen=True, kw_only=True):
    """What to change of a webhook; what is not sent stays as it is.

    ``status`` ``active`` also makes everything that waits for its next try due at once.
    """

    url: ReceiverUrl | UnsetType = UNSET
    events: Annotated[list[EventName], Meta(min_length=1, max_length=50)] | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    status: WebhookStatus | UnsetType = UNSET


class Rotation(Struct, frozen=True, kw_only=True, rename="camel"):
    """For how many hours the old secret signs beside the new one."""

    overlap_hours: Annotated[float, Meta(ge=0, le=168)] = 24


class SealedSecret(Struct, frozen=True, kw_only=True, rename="camel"):
    """A signing secret as it is stored, and until when it signs; for good where not said."""

    sealed: bytes
    until: datetime | None = None


class Webhook(Struct, frozen=True, kw_only=True, rename="camel"):
    """A subscription.

    Events with a ``position`` up to ``cursor`` are dealt with, but for those of locks that
    lag behind (``LaggingLock``). ``fence`` counts the nodes that have delivered for it.
    """

    id: str
    org_id: str
    url: str
    events: list[str]
    secrets: list[SealedSecret]
    created_at: datetime
    updated_at: datetime
    cursor: int
    fence: int = 0
    description: str | None = None
    status: WebhookStatus = WebhookStatus.ACTIVE
    disabled_reason: str | None = None

    @property
    def host(self) -> str:
        """The receiver as it may be logged: the rest of a URL may hold a token."""
        return urlsplit(self.url).hostname or ""

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are delivered."""
        return EVERY_EVENT in self.events or event_type in self.events


class LaggingLock(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock of whose events one waits for its next try, and all later ones behind it.

    Its events up to the position ``after`` are dealt with; the next one has been tried
    ``tries`` times in vain.
    """

    lock_id: int
    after: int
    tries: int
    due_at: datetime


class Reply(Struct, frozen=True, kw_only=True):
    """What a receiver answered: a status and how its words begin; or why there is none."""

    status: int | None = None
    answer: str | None = None
    error: str | None = None


class Attempt(Struct, frozen=True, kw_only=True, rename="camel"):
    """One request to a receiver: its status, or why there was none.

    ``answer`` is how the receiver's words begin, where it refused.
    """

    at: datetime
    ms: int
    status: int | None = None
    error: str | None = None
    answer: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the receiver has taken the event."""
        return self.status is not None and 200 <= self.status <= 299

    @property
    def says_gone(self) -> bool:
        """Whether the receiver wants no more events at all."""
        return self.status == 410


class DeliveryState(StrEnum):
    """``waiting`` for the next try, ``delivered``, or ``failed`` for good."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of the delivery log: one event to one webhook, with its latest attempts."""

    id: str
    webhook_id: str
    event_id: str
    lock_id: int
    version: int
    type: str
    state: DeliveryState
    attempts: list[Attempt]
    created_at: datetime
    next_try_at: datetime | None = None


def delivery_id(webhook_id: str, event_id: str) -> str:
    """What the delivery of an event to a webhook is called, whoever makes it."""
    return f"{webhook_id}-{digest(event_id)[:24]}"


def delivery_of(
    webhook: Webhook,
    event: RecordedEvent,
    state: DeliveryState,
    at: datetime,
    next_try_at: datetime | None = None,
) -> Delivery:
    """The line of the log that says what has become of an event."""
    return Delivery(
        id=delivery_id(webhook.id, event.id),
        webhook_id=webhook.id,
        event_id=event.id,
        lock_id=event.lock_id,
        version=event.version,
        type=event.type,
        state=state,
        attempts=[],
        created_at=at,
        next_try_at=next_try_at,
    )


def new_signing_secret() -> str:
    """A secret after Standard Webhooks: ``whsec_`` and 256 random bits in base64."""
    return "whsec_" + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def check_events(names: Sequence[str]) -> None:
    """Refuse names of events that do not exist: nobody shall wait for what never comes.

    Raises:
        InvalidInput: with the place of the first one.
    """
    for index, name in enumerate(names):
        if name != EVERY_EVENT and name not in EVENT_TYPES and name not in NEVER_DELIVERED:
            raise InvalidInput(f"events[{index}]", "there is no event with this name")


def check_url(url: str, *, loopback_allowed: bool) -> SplitResult:
    """The parts of a receiver's URL.

    Where it leads is looked up later; this is about its form.

    Args:
        loopback_allowed: plain http is taken as well, for receivers on this very machine.

    Raises:
        InvalidInput: it is no URL that events may be sent to.
    """
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise InvalidInput("url", "must be ASCII without spaces; escape what is not")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidInput("url", "is not a URL") from error
    if parts.scheme != "https" and not (loopback_allowed and parts.scheme == "http"):
        raise InvalidInput("url", "must begin with https://")
    if not parts.hostname or not set(parts.hostname) <= _HOST_CHARACTERS or port == 0:
        raise InvalidInput("url", "names no host")
    if "@" in parts.netloc:
        raise InvalidInput("url", "must not carry a user name or password")
    if parts.fragment:
        raise InvalidInput("url", "must not have a #fragment")
    return parts


def delay_before_next(tries: int, delays_s: Sequence[float], fraction: float) -> timedelta | None:
    """How long an event waits after it was tried ``tries`` times in vain; None: no longer.

    Args:
        tries: 1 or more.
        delays_s: the longest wait after each try but the last.
        fraction: a random number from 0 to 1, so that what failed together is not tried
            together again: up to a fifth of the wait is left out.
    """
    if tries > len(delays_s):
        return None
    return timedelta(seconds=delays_s[tries - 1] * (1 - fraction / 5))
