"""What monitoring asks."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from server.services.health import Health


class StatusAnswer(Struct, frozen=True, kw_only=True):
    """A one-word answer."""

    status: str


class HealthPage(BaseHandler):
    """How this node and what it needs are doing."""

    @operation(Access.PUBLIC, {200: Answer(Health), 503: Answer(Health)})
    async def get(self) -> None:
        health = await self.services.health.check()
        self.write_json(health, status=200 if health.mongodb.ok else 503)


class Live(BaseHandler):
    """The process answers; nothing else is asked."""

    @operation(Access.PUBLIC, {200: Answer(StatusAnswer)})
    async def get(self) -> None:
        self.write_json(StatusAnswer(status="live"))


class Ready(BaseHandler):
    """Whether to send traffic here."""

    @operation(Access.PUBLIC, {200: Answer(StatusAnswer), 503: Answer(StatusAnswer)})
    async def get(self) -> None:
        ready = await self.services.health.is_ready()
        answer = StatusAnswer(status="ready" if ready else "not ready")
        self.write_json(answer, status=200 if ready else 503)
