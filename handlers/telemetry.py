"""The readings of a lock, as JSON or as a table."""

from typing import Any

import msgspec
from msgspec import Struct, field

from handlers.accept import prefers
from handlers.base import BaseHandler
from handlers.csv_table import csv_line
from handlers.operation import Access, Answer, Media, operation
from handlers.paging import USUAL_PAGE, Limit
from server.domain.protocol import BoltState, DoorState
from server.domain.telemetry import StoredReport
from server.domain.times import AwareTime, WireTime, in_utc, wire_time


class ReadingAnswer(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One reading; ``at`` is by the lock's clock, ``received_at`` by the server's."""

    seq: int
    epoch: str
    at: WireTime
    received_at: WireTime
    battery: float | None = None
    battery_voltage: float | None = None
    rssi: int | None = None
    temperature: float | None = None
    door: DoorState | None = None
    bolt: BoltState | None = None


class ReadingList(Struct, frozen=True, kw_only=True):
    """A lock's readings, newest first."""

    telemetry: list[ReadingAnswer]


class ReadingQuery(Struct, frozen=True, kw_only=True):
    """Readings that came in from ``from`` and before ``until``."""

    since: AwareTime | None = field(name="from", default=None)
    until: AwareTime | None = None
    limit: Limit = USUAL_PAGE

    def __post_init__(self) -> None:
        for instant in (self.since, self.until):
            if instant is not None:
                in_utc(instant)  # or it could not be looked for


class TelemetryOfLock(BaseHandler):
    """A lock's readings."""

    @operation(
        Access.OPERATOR,
        {200: Answer(ReadingList, others=(Media.CSV,))},
        errors=(404,),
        query=ReadingQuery,
    )
    async def get(self, lock_id: int, query: ReadingQuery) -> None:
        """A lock's readings, newest first; as CSV where ``Accept`` prefers that."""
        stored = await self.services.lock_queries.readings_of(
            self.operator, lock_id, query.limit, query.since, query.until
        )
        readings = [_reading(one) for one in stored]
        self.set_header("Vary", "Accept")
        if prefers(self.request.headers.get("Accept", ""), Media.CSV.value):
            self.set_header("Content-Type", "text/csv; charset=utf-8")
            self.finish(_table(readings))
        else:
            self.write_json(ReadingList(telemetry=readings))


def _reading(stored: StoredReport) -> ReadingAnswer:
    fields: dict[str, Any] = msgspec.structs.asdict(stored.report)
    known = {
        name: value for name, value in fields.items() if name in ReadingAnswer.__struct_fields__
    }
    known |= {"at": wire_time(stored.report.at), "received_at": wire_time(stored.received_at)}
    return ReadingAnswer(epoch=stored.epoch, **known)


def _table(readings: list[ReadingAnswer]) -> str:
    names = [one.encode_name for one in msgspec.structs.fields(ReadingAnswer)]
    rows: list[dict[str, Any]] = [msgspec.to_builtins(reading) for reading in readings]
    return csv_line(names) + "".join(csv_line([row.get(name) for name in names]) for row in rows)
