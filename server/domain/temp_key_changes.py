"""What may be changed of a temp key, and the events that tell of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from server.domain.errors import InvalidInput
from server.domain.events import TempKeyChanges, TempKeyCreated, TempKeyDeleted, TempKeyUpdated
from server.domain.schedule import Schedule
from server.domain.temp_keys import (
    AccessMode,
    AllowedUserIds,
    Description,
    Door,
    DoorLabel,
    KeyUuid,
    MaxUses,
    TempKey,
    check_window,
)
from server.domain.times import AwareTime, wire_time


class NewLabel(Struct, frozen=True, kw_only=True):
    """Another name for one door of a key; none for the lock's own."""

    id: Annotated[int, Meta(ge=1)]
    label: DoorLabel | None


class TempKeyUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to change of a key; what is not sent stays as it is."""

    valid_from: AwareTime | UnsetType = UNSET
    valid_until: AwareTime | UnsetType = UNSET
    max_uses: MaxUses | UnsetType | None = UNSET
    access_mode: AccessMode | UnsetType = UNSET
    allowed_user_ids: AllowedUserIds | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    schedule: Schedule | UnsetType = UNSET
    doors: Annotated[list[NewLabel], Meta(max_length=50)] | UnsetType = UNSET


class NewLegacyTempKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key of one lock, under a uuid that the caller chooses (Part 1 section 1)."""

    temp_key_uuid: KeyUuid
    access_mode: AccessMode
    allowed_user_ids: AllowedUserIds = []
    valid_from: AwareTime
    valid_until: AwareTime
    max_uses: MaxUses | None = None
    description: Description | None = None


class LegacyTempKeyUpdate(Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to change of a key of one lock; what is not sent stays as it is."""

    temp_key_uuid: KeyUuid
    valid_from: AwareTime | UnsetType = UNSET
    valid_until: AwareTime | UnsetType = UNSET
    max_uses: MaxUses | UnsetType | None = UNSET
    allowed_user_ids: AllowedUserIds | UnsetType = UNSET
    access_mode: AccessMode | UnsetType = UNSET

    @property
    def update(self) -> TempKeyUpdate:
        """The same in the words of keys of any number of doors."""
        return TempKeyUpdate(
            valid_from=self.valid_from,
            valid_until=self.valid_until,
            max_uses=self.max_uses,
            allowed_user_ids=self.allowed_user_ids,
            access_mode=self.access_mode,
        )


def updated_key(key: TempKey, update: TempKeyUpdate, now: datetime) -> TempKey:
    """The key with an update applied.

    Raises:
        InvalidInput: no key may have the window that comes out, or nobody could use it.
        DoorNotFound: a label is for a door that the key does not have.
    """
    changes: dict[str, Any] = {
        name: value for name, value in structs.asdict(update).items() if value is not UNSET
    }
    if isinstance(update.doors, list):
        changes["doors"] = _labelled(key, update.doors)
    changed = structs.replace(key, **changes)
    if (changed.valid_from, changed.valid_until) != (key.valid_from, key.valid_until):
        check_window(changed.valid_from, changed.valid_until, now)
    check_somebody_may_use(changed.access_mode, changed.allowed_user_ids)
    return changed


def check_somebody_may_use(access_mode: AccessMode, allowed_user_ids: Sequence[str]) -> None:
    """Refuse a personal key that names nobody.

    Raises:
        InvalidInput: it would open for no one.
    """
    if access_mode is AccessMode.USER_WHITELIST and not allowed_user_ids:
        raise InvalidInput("allowedUserIds", "a personal key must name somebody")


def _labelled(key: TempKey, labels: Sequence[NewLabel]) -> list[Door]:
    by_id = {new.id: new.label for new in labels}
    for door_id in by_id:
        key.door(door_id)
    return [
        structs.replace(door, label=by_id[door.id]) if door.id in by_id else door
        for door in key.doors
    ]


# Events: one for each lock that the key touches, on that lock's stream


def created(key: TempKey) -> list[TempKeyCreated]:
    """The events of a key that was issued."""
    return [
        TempKeyCreated(
            lock_id=lock_id,
            timestamp=wire_time(key.created_at),
            temp_key_uuid=key.uuid,
            lock_uuid=lock_uuid,
            access_mode=key.access_mode,
            allowed_user_ids=key.allowed_user_ids,
            valid_from=wire_time(key.valid_from),
            valid_until=wire_time(key.valid_until),
            max_uses=key.max_uses,
            created_by=key.created_by,
        )
        for lock_id, lock_uuid in _locks(key)
    ]


def updated(before: TempKey, after: TempKey, by: str, now: datetime) -> list[TempKeyUpdated]:
    """The events of a key that was changed; none where nothing did."""
    if before == after:
        return []
    changes = TempKeyChanges(
        valid_from=_time_if_new(before.valid_from, after.valid_from),
        valid_until=_time_if_new(before.valid_until, after.valid_until),
        max_uses=UNSET if before.max_uses == after.max_uses else after.max_uses,
        allowed_user_ids=(
            UNSET if before.allowed_user_ids == after.allowed_user_ids else after.allowed_user_ids
        ),
        access_mode=UNSET if before.access_mode is after.access_mode else after.access_mode,
    )
    return [
        TempKeyUpdated(
            lock_id=lock_id,
            timestamp=wire_time(now),
            temp_key_uuid=after.uuid,
            lock_uuid=lock_uuid,
            changes=changes,
            updated_by=by,
        )
        for lock_id, lock_uuid in _locks(after)
    ]


def deleted(key: TempKey, by: str, now: datetime) -> list[TempKeyDeleted]:
    """The events of a key that was revoked (the API's word for that is "deleted")."""
    return [
        TempKeyDeleted(
            lock_id=lock_id,
            timestamp=wire_time(now),
            temp_key_uuid=key.uuid,
            lock_uuid=lock_uuid,
            deleted_by=by,
        )
        for lock_id, lock_uuid in _locks(key)
    ]


def _time_if_new(before: datetime, after: datetime) -> str | UnsetType:
    return UNSET if before == after else wire_time(after)


def _locks(key: TempKey) -> list[tuple[int, str]]:
    return sorted({(door.lock_id, door.lock_uuid) for door in key.doors})
