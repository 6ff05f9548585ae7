"""Events of locks in words."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from handlers.views.desk_moments import desk_moment
from handlers.views.desk_words import WHY_OFFLINE
from handlers.views.moments import Moment, zone_of
from handlers.views.urls import key_page_url, lock_page_url
from server.domain.events import RecordedEvent
from server.domain.locks import Lock, OfflineReason
from server.domain.times import parse_wire_time


class EventView(Struct, frozen=True, kw_only=True):
    """One event: when, at which lock, and what."""

    id: str
    position: int
    type: str
    at: Moment
    lock_id: int
    lock_name: str
    lock_url: str
    words: str
    key_url: str | None
    tone: str


_WORDS: Mapping[str, str] = {
    "TempKeyCreated": "Key issued by {createdBy}",
    "TempKeyUpdated": "Key changed by {updatedBy}",
    "TempKeyUsed": "Key used, {usedCount} so far",
    "TempKeyDeleted": "Key revoked by {deletedBy}",
    "LockCreated": "Lock added",
    "LockOpenRequested": "Opening asked for{reason}",
    "KeyAdded": "Card or fob added",
    "KeyRemoved": "Card or fob removed",
    "KeyWriteRequested": "Card or fob to be written",
    "ResidentAdded": "Resident added: {name}",
    "ResidentRemoved": "Resident removed",
    "OwnerSet": "Owner is now {userId}",
    "OrganizationSet": "Lock handed to another organisation",
    "LockUuidChanged": "Lock has a new UUID",
    "LockOpened": "Opened",
    "LockOpenFailed": "Did not open{reason}",
    "LockOpenExpired": "Did not open: the lock was not reached in time",
    "LockOnline": "Online",
    "LockOffline": "Offline",
    "LockBatteryLow": "Battery low",
    "LockTampered": "Somebody tampers with the lock",
    "LockJammed": "Bolt jammed",
    "DoorLeftOpen": "Door left open",
    "LockCredentialRotated": "Credential replaced",
    "WebhookDisabled": "A webhook was switched off{reason}",
}

EVENT_TYPES = tuple(_WORDS)
"""Every type that there is, in the order of the contract."""

_TONES: Mapping[str, str] = {
    "LockOpened": "good",
    "LockOnline": "good",
    "LockOffline": "bad",
    "LockOpenFailed": "bad",
    "LockOpenExpired": "bad",
    "LockTampered": "bad",
    "LockJammed": "bad",
    "LockBatteryLow": "warn",
    "WebhookDisabled": "warn",
    "DoorLeftOpen": "warn",
}


class _Known(dict[str, Any]):
    """The fields of an event; those that it does not have are empty."""

    def __missing__(self, name: str) -> str:
        return ""


def event_view(event: RecordedEvent, lock: Lock | None, now: datetime) -> EventView:
    """An event as the pages list it; without the lock it goes by its number."""
    at = parse_wire_time(event.data["timestamp"])
    key_uuid = event.data.get("tempKeyUuid")
    return EventView(
        id=event.id,
        position=event.position,
        type=event.type,
        at=desk_moment(at, zone_of(lock), now, seconds=True),
        lock_id=event.lock_id,
        lock_name=lock.name if lock is not None else f"Lock {event.lock_id}",
        lock_url=lock_page_url(event.lock_id),
        words=event_words(event),
        key_url=None if key_uuid is None else key_page_url(key_uuid),
        tone=_TONES.get(event.type, ""),
    )


def event_words(event: RecordedEvent) -> str:
    """What happened, in a few words."""
    fields = _Known(event.data)
    reason = event.data.get("reason")
    if event.type == "LockOffline" and reason in set(OfflineReason):
        return f"Offline: {WHY_OFFLINE[OfflineReason(reason)].lower()}"
    fields["reason"] = f": {reason}" if reason else ""
    return _WORDS.get(event.type, event.type).format_map(fields)
