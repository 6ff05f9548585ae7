"""Commands on locks (HTTP contract, Part 1 section 4)."""

import http
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from handlers.base import BaseHandler
from handlers.command_reply import CommandReply, command_reply, event_answer
from handlers.operation import NOTHING, Access, Answer, operation
from server.domain import lock_requests as requests
from server.domain.commands import CommandState
from server.domain.errors import InvalidInput
from server.domain.events import Done
from server.domain.secrets import new_id

_REPLY = {200: Answer(CommandReply)}
_BODILESS = (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN, http.HTTPStatus.NOT_FOUND)


class OpenReply(CommandReply, frozen=True, kw_only=True):
    """The lock was told; ``state`` is what it has said to that so far."""

    command_id: str
    state: CommandState
    request_id: str | UnsetType = UNSET


class ResidentReply(CommandReply, frozen=True, kw_only=True):
    """The command reply, with the resident's email address where one is known."""

    email: str | UnsetType = UNSET


class BulkReply(Struct, frozen=True, kw_only=True, rename="camel"):
    """All the keys are known to the lock; ``instance_id`` names this request."""

    success: bool = True
    lock_id: int
    instance_id: str


class CreateLock(BaseHandler):
    """Add a lock."""

    @operation(
        Access.OPERATOR,
        {200: Answer(CommandReply), 201: Answer(CommandReply)},
        errors=(403, 404, 409),
        body=requests.CreateLock,
    )
    async def post(self, lock_id: int, body: requests.CreateLock) -> None:
        """Add a lock; 200 where it is there already."""
        if body.index != lock_id:
            raise InvalidInput("index", "must be the lock id of the path")
        done = await self.services.lock_commands.create(self.operator, body)
        self.write_json(command_reply(lock_id, done), status=200 if done.event is None else 201)


class OpenLock(BaseHandler):
    """Open a lock without a temp key."""

    def decode_json(self, kind: Any) -> Any:
        """The request's JSON body; none at all asks for nothing special."""
        return super().decode_json(kind) if self.body.strip() else kind()

    @operation(
        Access.OPERATOR,
        {200: Answer(OpenReply), **dict.fromkeys(map(int, _BODILESS), NOTHING)},
        errors=(409, 502),
        body=requests.OpenLock,
    )
    async def post(self, lock_id: int, body: requests.OpenLock) -> None:
        """Open a lock now; 502 where it is offline, and then it does not open later either."""
        opened = await self.services.operator_opening.open(self.operator, lock_id, body)
        self.write_json(
            OpenReply(
                aggregate_id=str(lock_id),
                version=opened.done.version,
                event=event_answer(opened.done.event),
                command_id=opened.command.id,
                state=opened.command.state,
                request_id=UNSET if body.request_id is None else body.request_id,
            )
        )

    def answer_error(self, status: int, error: BaseException | None) -> None:
        """Answer with the JSON error body, but for those that the API leaves empty."""
        if status in _BODILESS:
            self.set_status(status)
            self.finish()
        else:
            super().answer_error(status, error)


class AddKey(BaseHandler):
    """Let a lock know a physical key."""

    @operation(Access.OPERATOR, _REPLY, errors=(404,), body=requests.AddKey)
    async def post(self, lock_id: int, body: requests.AddKey) -> None:
        done = await self.services.lock_commands.add_key(self.operator, lock_id, body)
        self.write_json(command_reply(lock_id, done))


class RemoveKey(BaseHandler):
    """Let a lock forget a physical key."""

    @operation(Access.OPERATOR, _REPLY, errors=(404,), body=requests.RemoveKey)
    async def post(self, lock_id: int, body: requests.RemoveKey) -> None:
        done = await self.services.lock_commands.remove_key(self.operator, lock_id, body)
        self.write_json(command_reply(lock_id, done))


class WriteKey(BaseHandler):
    """Write a physical key to a lock's hardware."""

    @operation(Access.OPERATOR, _REPLY, errors=(404, 502), body=requests.WriteKey)
    async def post(self, lock_id: int, body: requests.WriteKey) -> None:
        """Write a physical key to a lock's hardware; 502 where that cannot be told to it now."""
        done = await self.services.lock_commands.write_key(self.operator, lock_id, body)
        self.write_json(command_reply(lock_id, done))


class BulkAddKeys(BaseHandler):
    """Let a lock know several physical keys, all or none."""

    @operation(Access.OPERATOR, {200: Answer(BulkReply)}, errors=(404,), body=requests.BulkAddKeys)
    async def post(self, lock_id: int, body: requests.BulkAddKeys) -> None:
        await self.services.lock_commands.add_keys(self.operator, lock_id, body)
        self.write_json(BulkReply(lock_id=lock_id, instance_id=new_id()))


class AddResident(BaseHandler):
    """Note down who lives behind a lock."""

    @operation(
        Access.OPERATOR, {200: Answer(ResidentReply)}, errors=(404,), body=requests.AddResident
    )
    async def post(self, lock_id: int, body: requests.AddResident) -> None:
        done, email = await self.services.lock_commands.add_resident(self.operator, lock_id, body)
        self.write_json(_resident_reply(lock_id, done, email))


class RemoveResident(BaseHandler):
    """Note down who lives behind a lock no longer."""

    @operation(
        Access.OPERATOR, {200: Answer(ResidentReply)}, errors=(404,), body=requests.RemoveResident
    )
    async def post(self, lock_id: int, body: requests.RemoveResident) -> None:
        commands = self.services.lock_commands
        done, email = await commands.remove_resident(self.operator, lock_id, body)
        self.write_json(_resident_reply(lock_id, done, email))


class SetOwner(BaseHandler):
    """Give a lock to an owner."""

    @operation(Access.OPERATOR, _REPLY, errors=(404,), body=requests.SetOwner)
    async def post(self, lock_id: int, body: requests.SetOwner) -> None:
        done = await self.services.lock_commands.set_owner(self.operator, lock_id, body)
        self.write_json(command_reply(lock_id, done))


class SetOrganization(BaseHandler):
    """Give a lock to an organisation."""

    @operation(Access.OPERATOR, _REPLY, errors=(404,), body=requests.SetOrganization)
    async def post(self, lock_id: int, body: requests.SetOrganization) -> None:
        """Give a lock to an organisation; what the last one issued opens it no longer."""
        done = await self.services.lock_commands.set_organization(self.operator, lock_id, body)
        self.write_json(command_reply(lock_id, done))


class ChangeLockUuid(BaseHandler):
    """Give a lock another UUID."""

    @operation(Access.OPERATOR, _REPLY, errors=(403, 404, 409), body=requests.ChangeLockUuid)
    async def post(self, lock_id: int, body: requests.ChangeLockUuid) -> None:
        """Give a lock another UUID: for the super key only."""
        done = await self.services.lock_commands.change_uuid(self.operator, lock_id, body)
        self.write_json(command_reply(lock_id, done))


LOCK_COMMANDS: list[tuple[str, type[BaseHandler]]] = [
    (f"/locks/{{lock_id}}/{handler.__name__}", handler)
    for handler in (
        CreateLock,
        OpenLock,
        AddKey,
        RemoveKey,
        WriteKey,
        BulkAddKeys,
        AddResident,
        RemoveResident,
        SetOwner,
        SetOrganization,
        ChangeLockUuid,
    )
]
"""The API names a command's path after it."""


def _resident_reply(lock_id: int, done: Done, email: str | None) -> ResidentReply:
    return ResidentReply(
        aggregate_id=str(lock_id),
        version=done.version,
        event=event_answer(done.event),
        email=UNSET if email is None else email,
    )
