"""What an operator may ask of a lock: the bodies of its commands, with their limits.

Names and limits are those of the HTTP contract, Part 1 section 4.
"""

import re
from typing import Annotated
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from server.domain.locks import (
    HeartbeatSeconds,
    KeyIndex,
    KeyUuid,
    OpenForSeconds,
    PersonId,
    StoredKey,
)

MOST_KEYS = 1000
MOST_RESIDENTS = 500

_NOT_BEFORE_A_NEWLINE = r"$(?!\n)"

DeviceWord = Annotated[
    str,
    Meta(max_length=800, pattern=r"^[a-zA-Z0-9_.,@/:#=\[\]\-]*" + _NOT_BEFORE_A_NEWLINE),
]
Email = Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+" + _NOT_BEFORE_A_NEWLINE)]
PhoneNumber = Annotated[
    str, Meta(max_length=20, pattern=r"^(\+|00)[1-9][0-9]{5,14}" + _NOT_BEFORE_A_NEWLINE)
]
"""With the country's code, as ``+48…`` or ``0048…``; both are the same number."""

PersonName = Annotated[str, Meta(min_length=1, max_length=200)]
LockNumber = Annotated[int, Meta(ge=1, le=2**53 - 1)]


class CreateLock(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock to add. ``org_id`` is for the super key, which belongs to no organisation."""

    index: LockNumber
    uuid: UUID
    serial_number: DeviceWord | None = None
    vendor_name: DeviceWord | None = None
    owner_id: PersonId | None = None
    keys: Annotated[list[StoredKey], Meta(max_length=MOST_KEYS)] = []
    org_id: PersonId | None = None


class OpenLock(Struct, frozen=True, kw_only=True, rename="camel"):
    """An opening without a temp key; the same ``request_id`` is the same opening."""

    request_id: Annotated[str, Meta(max_length=200)] | None = None
    reason: Annotated[str, Meta(max_length=500)] | None = None


class AddKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A physical key that the lock is to know."""

    key_uuid: KeyUuid
    key_index_number: KeyIndex | None = None
    user_id: PersonId | None = None


class RemoveKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A physical key that the lock is to forget; where both are sent, both must fit."""

    key_uuid: KeyUuid | None = None
    key_index_number: KeyIndex | None = None


class WriteKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A physical key that is to be written to the lock's hardware."""

    key_uuid: KeyUuid
    key_index_number: KeyIndex | None = None


class BulkAddKeys(Struct, frozen=True, kw_only=True, rename="camel"):
    """Several physical keys at once."""

    keys: Annotated[list[AddKey], Meta(min_length=1, max_length=MOST_KEYS)]


class AddResident(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who lives behind the lock, named by at least one of the last three."""

    name: PersonName
    email: Email | None = None
    phone_number: PhoneNumber | None = None
    user_id: PersonId | None = None


class RemoveResident(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who lives there no longer; all that is sent must fit."""

    email: Email | None = None
    phone_number: PhoneNumber | None = None
    user_id: PersonId | None = None


class SetOwner(Struct, frozen=True, kw_only=True, rename="camel"):
    """The lock's owner from now on."""

    user_id: PersonId


class SetOrganization(Struct, frozen=True, kw_only=True, rename="camel"):
    """The organisation that the lock belongs to from now on."""

    org_id: PersonId


class ChangeLockUuid(Struct, frozen=True, kw_only=True, rename="camel"):
    """The lock's UUID from now on."""

    new_uuid: UUID


class LockUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    """Settings of a lock; what is not sent stays as it is.

    Without a heartbeat of its own (null), a lock has the installation's; a new one takes
    effect when the lock connects next.
    """

    name: PersonName | UnsetType = UNSET
    time_zone: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    open_for_seconds: OpenForSeconds | UnsetType = UNSET
    open_confirmation: bool | UnsetType = UNSET
    heartbeat_seconds: HeartbeatSeconds | UnsetType | None = UNSET


def e164(phone_number: str) -> str:
    """A phone number in the one form that is stored: ``+`` and its digits."""
    return re.sub(r"^00", "+", phone_number)
