"""Temp keys: one as its guest sees it, all as their operators manage them."""

from collections.abc import Mapping
from typing import ClassVar

from msgspec import Struct

from handlers.base import Access, BaseHandler, PageHandler
from handlers.parameters import positive
from handlers.views import key_url, key_view
from server import clock
from server.domain.temp_keys import AccessMethod, NewTempKey, TempKey
from server.domain.times import WireTime, wire_time


class DoorAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One door of a key."""

    id: int
    lock_id: str
    lock_uuid: str
    label: str | None
    access_method: AccessMethod


class NewKeyAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that was just issued; ``url`` is the path of its guest page."""

    success: bool
    uuid: str
    url: str
    valid_from: WireTime
    valid_until: WireTime
    doors: list[DoorAnswer]
    pin: str | None = None


class KeyAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key in its operator's list."""

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
    doors: list[DoorAnswer]


class KeyList(Struct, frozen=True, kw_only=True, rename="camel"):
    """An organisation's keys, newest first."""

    temp_keys: list[KeyAnswer]


class RevokedAnswer(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A key that opens nothing any more."""

    success: bool
    uuid: str
    already_revoked: bool = False


class TempKeysOfOrganization(BaseHandler):
    """``POST`` issues a temp key; ``GET`` lists those of the organisation."""

    access: ClassVar[Mapping[str, Access]] = {"GET": Access.OPERATOR, "POST": Access.OPERATOR}

    async def get(self) -> None:
        lock_id = self.get_query_argument("lockId", "")
        keys = await self.services.temp_keys.list_of(
            self.operator, positive("lockId", lock_id) if lock_id else None
        )
        self.write_json(KeyList(temp_keys=[_key_answer(key) for key in keys]))

    async def post(self) -> None:
        key = await self.services.temp_keys.create(self.operator, self.json_body(NewTempKey))
        answer = NewKeyAnswer(
            success=True,
            uuid=key.uuid,
            url=key_url(key.uuid),
            valid_from=wire_time(key.valid_from),
            valid_until=wire_time(key.valid_until),
            doors=_doors(key),
        )
        self.write_json(answer, status=201)


class OneTempKey(PageHandler):
    """``GET`` is the guest's page of the key, in whatever state; ``DELETE`` revokes it."""

    access: ClassVar[Mapping[str, Access]] = {"GET": Access.GUEST, "DELETE": Access.OPERATOR}

    async def get(self, key_uuid: str) -> None:
        shown = await self.services.temp_keys.show_to_guest(key_uuid, self.guest)
        self.render("temp_key.html", view=key_view(shown.key, shown.locks, clock.now()))

    async def delete(self, key_uuid: str) -> None:
        revoked = await self.services.temp_keys.revoke(self.operator, key_uuid)
        answer = RevokedAnswer(success=True, uuid=key_uuid, already_revoked=not revoked)
        self.write_json(answer)


def _key_answer(key: TempKey) -> KeyAnswer:
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
        doors=_doors(key),
    )


def _doors(key: TempKey) -> list[DoorAnswer]:
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
