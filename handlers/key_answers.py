"""Temp keys as operators see them in JSON."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.paging import link_next, time_cursor
from handlers.views.urls import key_url
from server.domain.pages import Page
from server.domain.schedule import ScheduleWindow
from server.domain.temp_keys import AccessMethod, AccessMode, KeyStatus, TempKey
from server.domain.times import WireTime, wire_time


class DoorAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One door of a key."""

    id: int
    lock_id: str
    lock_uuid: str
    label: str | None
    access_method: AccessMethod


class KeyAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key; ``url`` is the path of its guest page. Its PIN is never in here."""

    uuid: str
    url: str
    valid_from: WireTime
    valid_until: WireTime
    description: str | None
    created_by: str
    created_at: WireTime
    revoked_at: WireTime | None
    max_uses: int | None
    used_count: int
    access_mode: AccessMode
    allowed_user_ids: list[str]
    schedule: list[ScheduleWindow]
    doors: list[DoorAnswer]


class LegacyKeyAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key in the list of its lock (HTTP contract, Part 1 section 1)."""

    uuid: str
    lock_id: int
    lock_uuid: str
    access_mode: AccessMode
    allowed_user_ids: list[str]
    valid_from: WireTime
    valid_until: WireTime
    max_uses: int | None
    used_count: int
    created_at: WireTime
    created_by: str
    status: KeyStatus


def key_answer(key: TempKey) -> KeyAnswer:
    """A key as its operator sees it."""
    return KeyAnswer(
        uuid=key.uuid,
        url=key_url(key.uuid),
        valid_from=wire_time(key.valid_from),
        valid_until=wire_time(key.valid_until),
        description=key.description,
        created_by=key.created_by,
        created_at=wire_time(key.created_at),
        revoked_at=None if key.revoked_at is None else wire_time(key.revoked_at),
        max_uses=key.max_uses,
        used_count=key.used_count,
        access_mode=key.access_mode,
        allowed_user_ids=key.allowed_user_ids,
        schedule=key.schedule,
        doors=door_answers(key),
    )


def link_next_keys(handler: BaseHandler, keys: list[TempKey], page: Page) -> None:
    """Say where a list of keys goes on, where that was a full page of it."""
    if page.limit and len(keys) == page.limit:
        link_next(handler, time_cursor(keys[-1].created_at, keys[-1].uuid))


def door_answers(key: TempKey) -> list[DoorAnswer]:
    """The doors of a key."""
    return [
        DoorAnswer(
            id=door.id,
            lock_id=str(door.lock_id),
            lock_uuid=door.lock_uuid,
            label=door.label,
            access_method=door.access_method,
        )
        for door in key.doors
    ]


def legacy_key_answer(key: TempKey, lock_id: int, status: KeyStatus) -> LegacyKeyAnswer:
    """A key as the list of one of its locks shows it."""
    lock_uuid = next(door.lock_uuid for door in key.doors if door.lock_id == lock_id)
    return LegacyKeyAnswer(
        uuid=key.uuid,
        lock_id=lock_id,
        lock_uuid=lock_uuid,
        access_mode=key.access_mode,
        allowed_user_ids=key.allowed_user_ids,
        valid_from=wire_time(key.valid_from),
        valid_until=wire_time(key.valid_until),
        max_uses=key.max_uses,
        used_count=key.used_count,
        created_at=wire_time(key.created_at),
        created_by=key.created_by,
        status=status,
    )
