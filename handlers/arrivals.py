"""Arrivals at risk, for programs that look after them."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from handlers.views.urls import key_url
from server.domain.attention import Trouble
from server.domain.times import WireTime, wire_time
from server.services.arrivals import Arrival, DoorAtRisk


class DoorAtRiskAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A door whose lock is in trouble; the worst trouble first."""

    id: int
    lock_id: str
    label: str | None
    lock_name: str
    troubles: list[Trouble]


class ArrivalAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A key that begins soon; ``url`` is the path of its guest page."""

    uuid: str
    url: str
    description: str | None
    valid_from: WireTime
    valid_until: WireTime
    doors: list[DoorAtRiskAnswer]


class ArrivalList(Struct, frozen=True, kw_only=True):
    """Arrivals at risk, soonest first."""

    arrivals: list[ArrivalAnswer]


class ArrivalsAtRisk(BaseHandler):
    """Keys that begin within three days, on doors that are in trouble."""

    @operation(Access.OPERATOR, {200: Answer(ArrivalList)})
    async def get(self) -> None:
        """Keys that begin within three days, on doors that are in trouble."""
        arrivals = await self.services.arrivals.at_risk(self.operator.scope)
        self.write_json(ArrivalList(arrivals=[_answer(arrival) for arrival in arrivals]))


def _answer(arrival: Arrival) -> ArrivalAnswer:
    key = arrival.key
    return ArrivalAnswer(
        uuid=key.uuid,
        url=key_url(key.uuid),
        description=key.description,
        valid_from=wire_time(key.valid_from),
        valid_until=wire_time(key.valid_until),
        doors=[_door(one) for one in arrival.doors],
    )


def _door(at_risk: DoorAtRisk) -> DoorAtRiskAnswer:
    return DoorAtRiskAnswer(
        id=at_risk.door.id,
        lock_id=str(at_risk.door.lock_id),
        label=at_risk.door.label,
        lock_name=at_risk.lock.name,
        troubles=at_risk.troubles,
    )
