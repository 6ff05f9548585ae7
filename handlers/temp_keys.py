"""Temp keys: one as its guest sees it, all as their operators manage them."""

from msgspec import Struct

from handlers.base import BaseHandler, PageHandler
from handlers.operation import PAGE, Access, Answer, operation
from handlers.views.key_view import key_view
from handlers.views.urls import key_url
from server import clock
from server.domain.temp_keys import AccessMethod, LockIdNumber, NewTempKey, TempKey
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


class KeyQuery(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which keys to list: all, or those of one lock."""

    lock_id: LockIdNumber | None = None


class TempKeysOfOrganization(BaseHandler):
    """The organisation's temp keys."""

    @operation(Access.OPERATOR, {200: Answer(KeyList)}, errors=(400, 404), query=KeyQuery)
    async def get(self, query: KeyQuery) -> None:
        keys = await self.services.temp_keys.list_of(self.operator, query.lock_id)
        self.write_json(KeyList(temp_keys=[_key_answer(key) for key in keys]))

    @operation(Access.OPERATOR, {201: Answer(NewKeyAnswer)}, errors=(400, 404), body=NewTempKey)
    async def post(self, body: NewTempKey) -> None:
        key = await self.services.temp_keys.create(self.operator, body)
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
    """One temp key: its guest's page, in whatever state the key is."""

    @operation(Access.GUEST, {200: PAGE}, errors=(403, 404))
    async def get(self, key_uuid: str) -> None:
        shown = await self.services.temp_keys.show_to_guest(key_uuid, self.guest)
        self.render("temp_key.html", view=key_view(shown.key, shown.locks, clock.now()))

    @operation(Access.OPERATOR, {200: Answer(RevokedAnswer)}, errors=(404,))
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
