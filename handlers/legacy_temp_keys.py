"""Temp keys under their lock: the API's older, single-door commands (Part 1 section 1)."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.command_reply import CommandReply, command_reply, event_answer
from handlers.key_answers import LegacyKeyAnswer, legacy_key_answer, link_next_keys
from handlers.operation import Access, Answer, operation
from handlers.paging import PageQuery
from server import clock
from server.domain.temp_key_changes import LegacyTempKeyUpdate, NewLegacyTempKey
from server.domain.temp_keys import KeyUuid, UserId, status_of


class TempKeyReply(CommandReply, frozen=True, kw_only=True):
    """The command reply of ``create-temp-key``."""

    temp_key_uuid: str


class LegacyKeyList(Struct, frozen=True, kw_only=True, rename="camel"):
    """The keys of a lock that are not revoked, newest first."""

    temp_keys: list[LegacyKeyAnswer]


class NamedKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which key is meant."""

    temp_key_uuid: KeyUuid


class UsedKey(NamedKey, frozen=True, kw_only=True):
    """Which key was used, and by whom."""

    user_id: UserId | None = None


class CreateTempKey(BaseHandler):
    """Issue a temp key of one lock, under a uuid that the caller chooses."""

    @operation(
        Access.OPERATOR, {200: Answer(TempKeyReply)}, errors=(400, 404), body=NewLegacyTempKey
    )
    async def post(self, lock_id: int, body: NewLegacyTempKey) -> None:
        done = await self.services.legacy_temp_keys.create(self.operator, lock_id, body)
        self.write_json(
            TempKeyReply(
                aggregate_id=str(lock_id),
                version=done.version,
                event=event_answer(done.event),
                temp_key_uuid=body.temp_key_uuid,
            )
        )


class UpdateTempKey(BaseHandler):
    """Change a temp key of one lock."""

    @operation(
        Access.OPERATOR,
        {200: Answer(CommandReply)},
        errors=(400, 404, 409),
        body=LegacyTempKeyUpdate,
    )
    async def post(self, lock_id: int, body: LegacyTempKeyUpdate) -> None:
        done = await self.services.legacy_temp_keys.update(self.operator, lock_id, body)
        self.write_json(command_reply(lock_id, done))


class DeleteTempKey(BaseHandler):
    """Revoke a temp key of one lock."""

    @operation(Access.OPERATOR, {200: Answer(CommandReply)}, errors=(400, 404), body=NamedKey)
    async def post(self, lock_id: int, body: NamedKey) -> None:
        done = await self.services.legacy_temp_keys.delete(
            self.operator, lock_id, body.temp_key_uuid
        )
        self.write_json(command_reply(lock_id, done))


class UseTempKey(BaseHandler):
    """Count a use of a temp key with which somebody else's system opened the door."""

    @operation(Access.OPERATOR, {200: Answer(CommandReply)}, errors=(400, 403, 404), body=UsedKey)
    async def post(self, lock_id: int, body: UsedKey) -> None:
        done = await self.services.legacy_temp_keys.use(
            self.operator, lock_id, body.temp_key_uuid, body.user_id
        )
        self.write_json(command_reply(lock_id, done))


class TempKeysOfLock(BaseHandler):
    """The temp keys of one lock that are not revoked."""

    @operation(Access.OPERATOR, {200: Answer(LegacyKeyList)}, errors=(400, 404), query=PageQuery)
    async def get(self, lock_id: int, query: PageQuery) -> None:
        keys = await self.services.legacy_temp_keys.list_of_lock(self.operator, lock_id, query.page)
        link_next_keys(self, keys, query.page)
        now = clock.now()
        self.write_json(
            LegacyKeyList(
                temp_keys=[legacy_key_answer(key, lock_id, status_of(key, now)) for key in keys]
            )
        )
