"""An event as webhooks carry it: the SmartphoneKey API's envelope (HTTP contract, Part 1, 7)."""

from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from server.domain.events import RecordedEvent
from server.domain.times import wire_time
from server.domain.webhooks import Webhook

SOURCE = "spk.api"
TEST_TYPE = "WebhookTest"
REGION = "local"
"""The API says in which data centre it runs; here that is nobody's business."""


def envelope(event: RecordedEvent) -> bytes:
    """The body of a delivery: the same bytes however often the event is sent.

    Of the two times of ``detail``, ``timestamp`` is when the event was recorded and
    ``data.timestamp`` when it happened.
    """
    detail = {
        "partnerId": event.org_id,
        "aggregateType": "lock",
        "aggregateId": lock_uuid(event),
        "version": event.version,
        "timestamp": _epoch_ms(event.recorded_at),
        "data": {"type": event.type, **event.data},
    }
    return _enveloped(event.id, event.type, event.org_id, event.recorded_at, detail)


def test_envelope(webhook: Webhook, test_id: str, at: datetime) -> bytes:
    """What a webhook is tried out with: no event of any lock."""
    detail = {
        "partnerId": webhook.org_id,
        "aggregateType": "webhook",
        "aggregateId": webhook.id,
        "version": 0,
        "timestamp": _epoch_ms(at),
        "data": {"type": TEST_TYPE, "webhookId": webhook.id, "timestamp": wire_time(at)},
    }
    return _enveloped(test_id, TEST_TYPE, webhook.org_id, at, detail)


def message_id(event_id: str) -> str:
    """An event's id as a header carries it.

    A lock has a say in the ids of its reports, so they may hold anything. Nor may there be
    a full stop, which separates the parts of what is signed.
    """
    return quote(event_id, safe="/").replace(".", "%2E")


def _enveloped(
    event_id: str, event_type: str, org_id: str, at: datetime, detail: dict[str, Any]
) -> bytes:
    return msgspec.json.encode(
        {
            "id": event_id,
            "source": SOURCE,
            "detail-type": event_type,
            "time": wire_time(at),
            "region": REGION,
            "account": org_id,
            "version": "0",
            "resources": [],
            "detail": detail,
        }
    )


def _epoch_ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def lock_uuid(event: RecordedEvent) -> str:
    """The lock that an event is about."""
    # The API's events name it in one of these two ways.
    return event.data.get("lockUuid") or event.data["uuid"]
