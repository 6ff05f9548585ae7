"""An organisation's locks: whether they are connected, and what they last said."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from handlers.paging import USUAL_PAGE, Limit, link_next
from server.domain.lock_requests import LockUpdate
from server.domain.locks import Lock, OfflineReason
from server.domain.protocol import BoltState, DoorState
from server.domain.temp_keys import LockIdNumber
from server.domain.times import WireTime, wire_time


class ConnectionAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock's presence; ``since`` is when ``online`` last changed.

    ``clockSkewMs`` is how far the lock's clock is ahead of the server's, in the present or last
    connection; null until that has been measured.
    """

    online: bool
    offline_reason: OfflineReason | None
    since: WireTime | None
    last_seen_at: WireTime | None
    firmware: str | None
    clock_skew_ms: int | None


class TelemetryAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock's latest readings: battery in %, signal in dBm."""

    battery: float | None
    rssi: int | None
    door: DoorState | None
    bolt: BoltState | None
    at: WireTime


class LockAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """One lock."""

    id: int
    uuid: str
    name: str
    time_zone: str
    open_for_seconds: float
    open_confirmation: bool
    heartbeat_seconds: float | None
    connection: ConnectionAnswer
    telemetry: TelemetryAnswer | None


class LockList(Struct, frozen=True, kw_only=True):
    """An organisation's locks, by id."""

    locks: list[LockAnswer]


class LockListQuery(Struct, frozen=True, kw_only=True):
    """How many locks, and after which one."""

    limit: Limit = USUAL_PAGE
    after: LockIdNumber | None = None


class LocksOfOrganization(BaseHandler):
    """The organisation's locks."""

    @operation(Access.OPERATOR, {200: Answer(LockList)}, query=LockListQuery)
    async def get(self, query: LockListQuery) -> None:
        after = query.after or 0
        locks = await self.services.locks.list_of(self.operator, after, query.limit)
        if len(locks) == query.limit:
            link_next(self, str(locks[-1].id))
        self.write_json(LockList(locks=[lock_answer(lock) for lock in locks]))


class OneLock(BaseHandler):
    """One lock."""

    @operation(Access.OPERATOR, {200: Answer(LockAnswer)}, errors=(400, 404))
    async def get(self, lock_id: int) -> None:
        """One lock."""
        lock = await self.services.locks.find(self.operator, lock_id)
        self.write_json(lock_answer(lock))

    @operation(Access.OPERATOR, {200: Answer(LockAnswer)}, errors=(404,), body=LockUpdate)
    async def patch(self, lock_id: int, body: LockUpdate) -> None:
        """Change settings of a lock; what is not sent stays as it is."""
        lock = await self.services.lock_commands.update(self.operator, lock_id, body)
        self.write_json(lock_answer(lock))


def lock_answer(lock: Lock) -> LockAnswer:
    """A lock as its operators see it."""
    connection, reading = lock.connection, lock.telemetry
    return LockAnswer(
        id=lock.id,
        uuid=lock.uuid,
        name=lock.name,
        time_zone=lock.time_zone,
        open_for_seconds=lock.open_for_seconds,
        open_confirmation=lock.open_confirmation,
        heartbeat_seconds=lock.heartbeat_seconds,
        connection=ConnectionAnswer(
            online=connection.online,
            offline_reason=connection.offline_reason,
            since=None if connection.since is None else wire_time(connection.since),
            last_seen_at=(
                None if connection.last_seen_at is None else wire_time(connection.last_seen_at)
            ),
            firmware=connection.firmware,
            clock_skew_ms=connection.clock_skew_ms,
        ),
        telemetry=None
        if reading is None
        else TelemetryAnswer(
            battery=reading.battery,
            rssi=reading.rssi,
            door=reading.door,
            bolt=reading.bolt,
            at=wire_time(reading.at),
        ),
    )
