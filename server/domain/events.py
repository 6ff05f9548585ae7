"""The audit trail: what happened to a lock, as events in the order of their versions.

The names and fields of the first half are those of the SmartphoneKey API (HTTP
contract, Part 1 section 6); the second half is ours. What is not known is left out,
never sent as null. ``timestamp`` is when it happened.
"""

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from server.domain.locks import StoredKey
from server.domain.temp_keys import AccessMode
from server.domain.times import WireTime


class EventData(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What every event says: its lock, by both ids, and when."""

    lock_id: int
    timestamp: WireTime


class TempKeyCreated(EventData, frozen=True, kw_only=True):
    """A key was issued that opens this lock."""

    temp_key_uuid: str
    lock_uuid: str
    access_mode: AccessMode
    allowed_user_ids: list[str] = []
    valid_from: WireTime
    valid_until: WireTime
    max_uses: int | None = None
    created_by: str


class TempKeyChanges(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Those fields of a key that an update changed."""

    valid_from: WireTime | msgspec.UnsetType = msgspec.UNSET
    valid_until: WireTime | msgspec.UnsetType = msgspec.UNSET
    max_uses: int | msgspec.UnsetType | None = msgspec.UNSET
    allowed_user_ids: list[str] | msgspec.UnsetType = msgspec.UNSET
    access_mode: AccessMode | msgspec.UnsetType = msgspec.UNSET


class TempKeyUpdated(EventData, frozen=True, kw_only=True):
    """A key that opens this lock was changed."""

    temp_key_uuid: str
    lock_uuid: str
    changes: TempKeyChanges
    updated_by: str


class TempKeyUsed(EventData, frozen=True, kw_only=True):
    """A use of a key was taken for this lock; ``used_count`` includes it."""

    temp_key_uuid: str
    lock_uuid: str
    user_id: str | None = None
    used_count: int


class TempKeyDeleted(EventData, frozen=True, kw_only=True):
    """A key that opened this lock was revoked."""

    temp_key_uuid: str
    lock_uuid: str
    deleted_by: str


class LockCreated(EventData, frozen=True, kw_only=True):
    """A lock was added."""

    uuid: str
    serial_number: str | None = None
    keys: list[StoredKey] = []
    owner_id: str | None = None


class LockOpenRequested(EventData, frozen=True, kw_only=True):
    """Somebody asked for the lock to open."""

    uuid: str
    reason: str | None = None
    request_id: str | None = None


class KeyAdded(EventData, frozen=True, kw_only=True):
    """A physical key was added."""

    uuid: str
    key_uuid: str
    key_index_number: int | None = None
    user_id: str | None = None


class KeyRemoved(EventData, frozen=True, kw_only=True):
    """A physical key was removed."""

    uuid: str
    key_uuid: str
    key_index_number: int | None = None


class KeyWriteRequested(EventData, frozen=True, kw_only=True):
    """A physical key is to be written to the lock."""

    uuid: str
    key_uuid: str
    key_index_number: int | None = None


class ResidentAdded(EventData, frozen=True, kw_only=True):
    """Somebody lives behind this lock now."""

    uuid: str
    user_id: str
    name: str
    email: str | None = None


class ResidentRemoved(EventData, frozen=True, kw_only=True):
    """Somebody does not live behind this lock any more."""

    uuid: str
    user_id: str
    email: str | None = None


class OwnerSet(EventData, frozen=True, kw_only=True):
    """The lock has a new owner."""

    uuid: str
    user_id: str


class OrganizationSet(EventData, frozen=True, kw_only=True):
    """The lock belongs to another organisation now."""

    uuid: str
    org_id: str


class LockUuidChanged(EventData, frozen=True, kw_only=True):
    """The lock has a new UUID."""

    uuid: str
    new_uuid: str
    previous_uuid: str


# Ours


class LockOpened(EventData, frozen=True, kw_only=True):
    """The lock said that it opened."""

    uuid: str
    command_id: str
    temp_key_uuid: str | None = None


class LockOpenFailed(EventData, frozen=True, kw_only=True):
    """The lock said that it did not open; or nothing was heard of it (reason ``unconfirmed``)."""

    uuid: str
    command_id: str
    reason: str
    temp_key_uuid: str | None = None


class LockOpenExpired(EventData, frozen=True, kw_only=True):
    """An open command was never sent: its time was over."""

    uuid: str
    command_id: str
    temp_key_uuid: str | None = None


class LockOnline(EventData, frozen=True, kw_only=True):
    """The lock connected."""

    uuid: str


class LockOffline(EventData, frozen=True, kw_only=True):
    """The lock's connection ended, and why."""

    uuid: str
    reason: str


class LockBatteryLow(EventData, frozen=True, kw_only=True):
    """The lock's battery runs low; ``battery`` in percent, where the lock said it."""

    uuid: str
    battery: float | None = None


class LockTampered(EventData, frozen=True, kw_only=True):
    """Somebody tampers with the lock."""

    uuid: str


class LockJammed(EventData, frozen=True, kw_only=True):
    """The bolt is jammed."""

    uuid: str


class DoorLeftOpen(EventData, frozen=True, kw_only=True):
    """The door has stood open for too long."""

    uuid: str


class LockCredentialRotated(EventData, frozen=True, kw_only=True):
    """The lock has a new credential; the old one is good no longer."""

    uuid: str


class WebhookDisabled(EventData, frozen=True, kw_only=True):
    """The receiver of a webhook answered an event of this lock with "gone": it gets no more."""

    uuid: str
    webhook_id: str
    reason: str


EVENT_TYPES = frozenset(kind.__name__ for kind in EventData.__subclasses__())
"""The names of all events."""


class RecordedEvent(Struct, frozen=True, kw_only=True, rename="camel"):
    """An event in its place: ``version`` counts a lock's events from 1, without a gap.

    ``id`` is the same however often the event is recorded or delivered. ``position``
    counts the events of all locks, in an order that never changes once it is given; it is
    0 until then, shortly after the event was recorded.
    """

    id: str
    org_id: str
    lock_id: int
    version: int
    type: str
    recorded_at: datetime
    data: dict[str, Any]
    position: int = 0


class Done(Struct, frozen=True, kw_only=True):
    """What a command on a lock came to: its event, if it made one, and the lock's version."""

    version: int
    event: RecordedEvent | None = None


def event_type(event: EventData) -> str:
    """The event's name on the wire."""
    return type(event).__name__


def event_data(event: EventData) -> dict[str, Any]:
    """The event's fields by their wire names, without those that are not known."""
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return fields
