"""What monitoring asks."""

from collections.abc import Mapping
from typing import ClassVar

from msgspec import Struct

from handlers.base import Access, BaseHandler


class StatusAnswer(Struct, frozen=True, kw_only=True):
    """A one-word answer."""

    status: str


class HealthPage(BaseHandler):
    """``GET /health``: how this node and what it needs are doing."""

    access: ClassVar[Mapping[str, Access]] = {"GET": Access.PUBLIC}

    async def get(self) -> None:
        health = await self.services.health.check()
        self.write_json(health, status=200 if health.mongodb.ok else 503)


class Live(BaseHandler):
    """``GET /health/live``: the process answers; nothing else is asked."""

    access: ClassVar[Mapping[str, Access]] = {"GET": Access.PUBLIC}

    async def get(self) -> None:
        self.write_json(StatusAnswer(status="live"))


class Ready(BaseHandler):
    """``GET /health/ready``: whether to send traffic here."""

    access: ClassVar[Mapping[str, Access]] = {"GET": Access.PUBLIC}

    async def get(self) -> None:
        ready = await self.services.health.is_ready()
        answer = StatusAnswer(status="ready" if ready else "not ready")
        self.write_json(answer, status=200 if ready else 503)
