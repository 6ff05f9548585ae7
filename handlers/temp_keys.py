"""Temp keys: one as its guest sees it, all as their operators manage them."""

import io
from typing import Annotated

import segno
from msgspec import Meta, Struct

from handlers.base import BaseHandler
from handlers.guest_base import GuestHandler
from handlers.key_answers import DoorAnswer, KeyAnswer, door_answers, key_answer, link_next_keys
from handlers.operation import PAGE, SVG, Access, Answer, operation
from handlers.paging import PageQuery
from handlers.views.key_view import key_view
from handlers.views.urls import key_url
from server import clock
from server.domain.explain import RuleResult
from server.domain.schedule import ScheduleWindow
from server.domain.temp_key_changes import TempKeyUpdate
from server.domain.temp_keys import AccessMode, LockIdNumber, NewTempKey
from server.domain.times import AwareTime, WireTime, wire_time


class NewKeyAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that was just issued, as it was understood; ``url`` is the path of its guest page."""

    success: bool
    uuid: str
    url: str
    valid_from: WireTime
    valid_until: WireTime
    doors: list[DoorAnswer]
    description: str | None
    max_uses: int | None
    access_mode: AccessMode
    allowed_user_ids: list[str]
    schedule: list[ScheduleWindow]
    pin: str | None


class KeyList(Struct, frozen=True, kw_only=True, rename="camel"):
    """An organisation's keys, newest first."""

    temp_keys: list[KeyAnswer]


class RevokedAnswer(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A key that opens nothing any more."""

    success: bool
    uuid: str
    already_revoked: bool = False


class KeyQuery(PageQuery, frozen=True, kw_only=True, rename="camel"):
    """Which keys to list: all or those of one lock, whole or in pages."""

    lock_id: LockIdNumber | None = None


class TempKeysOfOrganization(BaseHandler):
    """The organisation's temp keys."""

    @operation(Access.OPERATOR, {200: Answer(KeyList)}, errors=(400, 404), query=KeyQuery)
    async def get(self, query: KeyQuery) -> None:
        """The organisation's temp keys, newest first."""
        keys = await self.services.temp_keys.list_of(self.operator, query.lock_id, query.page)
        link_next_keys(self, keys, query.page)
        self.write_json(KeyList(temp_keys=[key_answer(key) for key in keys]))

    @operation(
        Access.OPERATOR, {201: Answer(NewKeyAnswer)}, errors=(400, 404, 503), body=NewTempKey
    )
    async def post(self, body: NewTempKey) -> None:
        """Issue a temp key for one or more doors."""
        key = (await self.services.temp_keys.create(self.operator, body)).key
        pin = await self.services.pins.reveal(key)
        answer = NewKeyAnswer(
            success=True,
            uuid=key.uuid,
            url=key_url(key.uuid),
            valid_from=wire_time(key.valid_from),
            valid_until=wire_time(key.valid_until),
            doors=door_answers(key),
            description=key.description,
            max_uses=key.max_uses,
            access_mode=key.access_mode,
            allowed_user_ids=key.allowed_user_ids,
            schedule=key.schedule,
            pin=pin,
        )
        self.write_json(answer, status=201)


class OneTempKey(GuestHandler):
    """One temp key: its guest's page, in whatever state the key is."""

    @operation(Access.GUEST, {200: PAGE}, errors=(401, 403, 404))
    async def get(self, key_uuid: str) -> None:
        """The guest's page of a temp key, in whatever state the key is."""
        shown = await self.services.temp_keys.show_to_guest(key_uuid, self.guest)
        self.look_like(shown.organization)
        pin = await self.services.pins.reveal(shown.key)
        view = key_view(shown.key, shown.locks, clock.now(), self.language, self.new_attempt, pin)
        self.render("temp_key.html", view=view)

    @operation(Access.OPERATOR, {200: Answer(RevokedAnswer)}, errors=(404,))
    async def delete(self, key_uuid: str) -> None:
        """Revoke a temp key for all its doors; what is under way with it is withdrawn."""
        revoked = await self.services.temp_keys.revoke(self.operator, key_uuid)
        answer = RevokedAnswer(success=True, uuid=key_uuid, already_revoked=not revoked.events)
        self.write_json(answer)

    @operation(
        Access.OPERATOR, {200: Answer(KeyAnswer)}, errors=(400, 404, 409), body=TempKeyUpdate
    )
    async def patch(self, key_uuid: str, body: TempKeyUpdate) -> None:
        """Change a temp key; what is not sent stays as it is."""
        changed = await self.services.temp_keys.update(self.operator, key_uuid, body)
        self.write_json(key_answer(changed.key))


class CollectiveTempKeys(BaseHandler):
    """The older name of ``/temp-keys``; it has no list."""

    post = TempKeysOfOrganization.post


class OneTempKeyJson(BaseHandler):
    """One temp key, for its operator."""

    @operation(Access.OPERATOR, {200: Answer(KeyAnswer)}, errors=(404,))
    async def get(self, key_uuid: str) -> None:
        """One temp key as JSON; never its PIN."""
        self.write_json(key_answer(await self.services.temp_keys.find(self.operator, key_uuid)))


class QrCode(BaseHandler):
    """The guest link as a picture to scan."""

    @operation(Access.OPERATOR, {200: SVG}, errors=(404,))
    async def get(self, key_uuid: str) -> None:
        """The guest link of a temp key as a QR code."""
        key = await self.services.temp_keys.find(self.operator, key_uuid)
        self.set_header("Content-Type", "image/svg+xml")
        self.finish(qr_code(f"{self.request.protocol}://{self.request.host}{key_url(key.uuid)}"))


def qr_code(link: str) -> bytes:
    """A link as a picture to scan (SVG)."""
    picture = io.BytesIO()
    segno.make(link, error="m").save(picture, kind="svg", scale=8, border=4, xmldecl=False)
    return picture.getvalue()


class Question(Struct, frozen=True, kw_only=True):
    """Would this door open at this time? The key's first door, and now, where not said."""

    door: Annotated[int, Meta(ge=1)] | None = None
    at: AwareTime | None = None


class ExplanationAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """What every rule says, and when the door would open next."""

    opens: bool
    rules: list[RuleResult]
    next_opening: WireTime | None


class ExplainTempKey(BaseHandler):
    """Why a key opens its door at some time, or does not."""

    @operation(Access.OPERATOR, {200: Answer(ExplanationAnswer)}, errors=(400, 404), body=Question)
    async def post(self, key_uuid: str, body: Question) -> None:
        """Say of every rule whether it passes, and when the door would open next."""
        explained = await self.services.temp_keys.explain(
            self.operator, key_uuid, body.door, body.at
        )
        following = explained.next_opening
        self.write_json(
            ExplanationAnswer(
                opens=explained.opens,
                rules=explained.rules,
                next_opening=None if following is None else wire_time(following),
            )
        )
