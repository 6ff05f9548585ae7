"""What the API's own queries tell of a lock (HTTP contract, Part 1 section 5)."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from handlers.base import BaseHandler
from handlers.error_answers import ErrorBody, error_body
from handlers.operation import Access, Answer, operation
from handlers.paging import Limit
from server.domain.commands import OpenCommand
from server.domain.events import RecordedEvent
from server.domain.locks import Lock, Resident, StoredKey
from server.domain.times import WireTime, wire_time

_PAGE = r"^[1-9][0-9]{0,8}$(?!\n)"
_SERVER_SIDE = ("lockId", "orgId", "epoch", "receivedAt")


class ErrorItem(Struct, frozen=True, kw_only=True):
    """One thing that was wrong."""

    code: int
    message: str


class QueryErrorBody(ErrorBody, frozen=True, kw_only=True):
    """The error body, as the API's queries say that a lock is not there."""

    errors: list[ErrorItem]


class LockFacts(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a lock is; ``r2_prefix`` has no meaning here."""

    id: str
    lock_id: int
    uuid: str
    version: int
    r2_prefix: str = ""
    serial_number: str | UnsetType = UNSET
    owner_id: str | UnsetType = UNSET
    org_id: str
    organization_id: str


class ResidentAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who lives behind a lock."""

    user_id: str
    name: str
    email: str | UnsetType = UNSET


class ResidentWithPhone(ResidentAnswer, frozen=True, kw_only=True):
    """The same, with whether a phone number is known."""

    has_phone: bool


class LockDetails(LockFacts, frozen=True, kw_only=True):
    """A lock with its keys and residents; ``timestamp`` is that of its newest event."""

    keys: list[StoredKey]
    residents: list[ResidentAnswer]
    timestamp: WireTime


class ResidentList(Struct, frozen=True, kw_only=True):
    """Who lives behind a lock."""

    residents: list[ResidentWithPhone]


class LockEventAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One event of a lock; ``event`` holds the fields of its type."""

    aggregate_type: str = "lock"
    aggregate_id: str
    version: int
    type: str
    timestamp: WireTime
    org_id: str
    event: dict[str, Any]


class EventPageAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of a lock's events, oldest first."""

    aggregate_id: str
    total_events: int
    page: int
    page_size: int
    total_pages: int
    events: list[LockEventAnswer]


class EventPageQuery(Struct, frozen=True, kw_only=True):
    """Which page, from 1; the last where none is named."""

    page: Annotated[str, Meta(pattern=_PAGE)] | None = None


class Message(Struct, frozen=True, kw_only=True):
    """One message between server and lock."""

    id: str
    payload: dict[str, Any]
    timestamp: WireTime


class MessageLists(Struct, frozen=True, kw_only=True):
    """Commands to a lock, and what it has said, newest first."""

    command: list[Message]
    status: list[Message]


class MessagesAnswer(Struct, frozen=True, kw_only=True):
    """The newest messages between server and lock."""

    messages: MessageLists
    total: int


class MessagesQuery(Struct, frozen=True, kw_only=True):
    """How many of each kind."""

    limit: Limit = 50


class LockQuery(BaseHandler):
    """Says in the API's own way that there is no such lock."""

    def answer_error(self, status: int, error: BaseException | None) -> None:
        """Answer with the JSON error body."""
        if status != 404:
            super().answer_error(status, error)
            return
        body = error_body(status, error)
        item = ErrorItem(code=body.code, message=body.message)
        self.write_json(QueryErrorBody(**msgspec.structs.asdict(body), errors=[item]), status)


_NOT_THERE = Answer(QueryErrorBody)


class BasicInfo(LockQuery):
    """What a lock is."""

    @operation(Access.OPERATOR, {200: Answer(LockFacts), 404: _NOT_THERE})
    async def get(self, lock_id: int) -> None:
        lock = await self.services.locks.find(self.operator, lock_id)
        self.write_json(LockFacts(**_facts(lock)))


class Details(LockQuery):
    """What a lock is, with its keys and residents."""

    @operation(Access.OPERATOR, {200: Answer(LockDetails), 404: _NOT_THERE})
    async def get(self, lock_id: int) -> None:
        lock, at = await self.services.lock_queries.lock_as_of(self.operator, lock_id)
        self.write_json(
            LockDetails(
                **_facts(lock),
                keys=lock.keys,
                residents=[ResidentAnswer(**_who(one)) for one in lock.residents],
                timestamp=wire_time(at),
            )
        )


class Residents(LockQuery):
    """Who lives behind a lock."""

    @operation(Access.OPERATOR, {200: Answer(ResidentList), 404: _NOT_THERE})
    async def get(self, lock_id: int) -> None:
        lock = await self.services.locks.find(self.operator, lock_id)
        residents = [
            ResidentWithPhone(**_who(one), has_phone=one.phone_number is not None)
            for one in lock.residents
        ]
        self.write_json(ResidentList(residents=residents))


class EventsOfLock(BaseHandler):
    """A lock's events, in pages."""

    @operation(Access.OPERATOR, {200: Answer(EventPageAnswer)}, errors=(404,), query=EventPageQuery)
    async def get(self, lock_id: int, query: EventPageQuery) -> None:
        """A page of a lock's events, oldest first; the last page where none is named."""
        number = None if query.page is None else int(query.page)
        page = await self.services.lock_queries.events_of(self.operator, lock_id, number)
        self.write_json(
            EventPageAnswer(
                aggregate_id=str(lock_id),
                total_events=page.total,
                page=page.page,
                page_size=page.size,
                total_pages=page.pages,
                events=[LockEventAnswer(**event_fields(event)) for event in page.events],
            )
        )


class DebugMessages(BaseHandler):
    """The newest messages between the server and a lock, without anything secret."""

    @operation(Access.OPERATOR, {200: Answer(MessagesAnswer)}, errors=(404,), query=MessagesQuery)
    async def get(self, lock_id: int, query: MessagesQuery) -> None:
        found = await self.services.lock_queries.messages_of(self.operator, lock_id, query.limit)
        sent = [_sent(command) for command in found.commands]
        said = [_said(report) for report in found.reports]
        messages = MessageLists(command=sent, status=said)
        self.write_json(MessagesAnswer(messages=messages, total=len(sent) + len(said)))


def event_fields(event: RecordedEvent) -> dict[str, Any]:
    """An event as every list of events shows it."""
    return {
        "aggregate_id": str(event.lock_id),
        "version": event.version,
        "type": event.type,
        "timestamp": event.data["timestamp"],
        "org_id": event.org_id,
        "event": event.data,
    }


def _facts(lock: Lock) -> dict[str, Any]:
    return {
        "id": str(lock.id),
        "lock_id": lock.id,
        "uuid": lock.uuid,
        "version": lock.version,
        "serial_number": UNSET if lock.serial_number is None else lock.serial_number,
        "owner_id": UNSET if lock.owner_id is None else lock.owner_id,
        "org_id": lock.org_id,
        "organization_id": lock.org_id,
    }


def _who(resident: Resident) -> dict[str, Any]:
    return {
        "user_id": resident.user_id,
        "name": resident.name,
        "email": UNSET if resident.email is None else resident.email,
    }


def _sent(command: OpenCommand) -> Message:
    """A command to a lock; whose key it was is a secret, and so is not told."""
    payload = {
        "action": "open",
        "state": command.state.value,
        "reason": command.reason,
        "offline": command.offline,
        "expiresAt": wire_time(command.expires_at),
    }
    return Message(id=command.id, payload=payload, timestamp=wire_time(command.requested_at))


def _said(report: dict[str, Any]) -> Message:
    payload = {name: value for name, value in report.items() if name not in _SERVER_SIDE}
    payload["at"] = wire_time(report["at"])
    return Message(
        id=f"{report['epoch']}/{report['seq']}",
        payload=payload,
        timestamp=wire_time(report["receivedAt"]),
    )
