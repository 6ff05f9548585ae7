"""An organisation's locks: whether they are connected, and what they last said."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from server.domain.locks import Lock, OfflineReason
from server.domain.protocol import BoltState, DoorState
from server.domain.times import WireTime, wire_time


class ConnectionAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock's presence; ``since`` is when ``online`` last changed."""

    online: bool
    offline_reason: OfflineReason | None
    since: WireTime | None
    last_seen_at: WireTime | None
    firmware: str | None


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
    connection: ConnectionAnswer
    telemetry: TelemetryAnswer | None


class LockList(Struct, frozen=True, kw_only=True):
    """An organisation's locks, by id."""

    locks: list[LockAnswer]


class LocksOfOrganization(BaseHandler):
    """The organisation's locks."""

    @operation(Access.OPERATOR, {200: Answer(LockList)})
    async def get(self) -> None:
        locks = await self.services.locks.list_of(self.operator)
        self.write_json(LockList(locks=[_lock_answer(lock) for lock in locks]))


class OneLock(BaseHandler):
    """One lock."""

    @operation(Access.OPERATOR, {200: Answer(LockAnswer)}, errors=(400, 404))
    async def get(self, lock_id: int) -> None:
        lock = await self.services.locks.find(self.operator, lock_id)
        self.write_json(_lock_answer(lock))


def _lock_answer(lock: Lock) -> LockAnswer:
    connection, reading = lock.connection, lock.telemetry
    return LockAnswer(
        id=lock.id,
        uuid=lock.uuid,
        name=lock.name,
        time_zone=lock.time_zone,
        connection=ConnectionAnswer(
            online=connection.online,
            offline_reason=connection.offline_reason,
            since=None if connection.since is None else wire_time(connection.since),
            last_seen_at=(
                None if connection.last_seen_at is None else wire_time(connection.last_seen_at)
            ),
            firmware=connection.firmware,
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
