"""What became of open commands, for the operators of their locks."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from handlers.paging import (
    USUAL_PAGE,
    Limit,
    TimeCursor,
    link_next,
    read_time_cursor,
    time_cursor,
)
from server.domain.commands import CommandState, OpenCommand
from server.domain.times import WireTime, wire_time


class StepAnswer(Struct, frozen=True, kw_only=True):
    """One step of a command."""

    state: CommandState
    at: WireTime


class CommandAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One open command; ``offline`` is whether the lock was offline at the tap."""

    id: str
    lock_id: int
    temp_key_uuid: str | None
    door_id: int | None
    state: CommandState
    reason: str | None
    offline: bool
    requested_at: WireTime
    expires_at: WireTime
    history: list[StepAnswer]


class CommandList(Struct, frozen=True, kw_only=True):
    """A lock's newest commands, newest first."""

    commands: list[CommandAnswer]


class CommandListQuery(Struct, frozen=True, kw_only=True):
    """How many commands, and after which one."""

    limit: Limit = USUAL_PAGE
    after: TimeCursor | None = None


class OneCommand(BaseHandler):
    """What became of one open command."""

    @operation(Access.OPERATOR, {200: Answer(CommandAnswer)}, errors=(404,))
    async def get(self, command_id: str) -> None:
        self.write_json(_answer(await self.services.locks.command(self.operator, command_id)))


class CommandsOfLock(BaseHandler):
    """A lock's newest open commands."""

    @operation(Access.OPERATOR, {200: Answer(CommandList)}, errors=(404,), query=CommandListQuery)
    async def get(self, lock_id: int, query: CommandListQuery) -> None:
        before = None if query.after is None else read_time_cursor(query.after)
        commands = await self.services.locks.commands_of(
            self.operator, lock_id, query.limit, before
        )
        if len(commands) == query.limit:
            link_next(self, time_cursor(commands[-1].requested_at, commands[-1].id))
        self.write_json(CommandList(commands=[_answer(command) for command in commands]))


def _answer(command: OpenCommand) -> CommandAnswer:
    return CommandAnswer(
        id=command.id,
        lock_id=command.lock_id,
        temp_key_uuid=command.temp_key_uuid,
        door_id=command.door_id,
        state=command.state,
        reason=command.reason,
        offline=command.offline,
        requested_at=wire_time(command.requested_at),
        expires_at=wire_time(command.expires_at),
        history=[StepAnswer(state=step.state, at=wire_time(step.at)) for step in command.history],
    )
