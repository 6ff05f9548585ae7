"""What Prometheus asks."""

from handlers.base import BaseHandler
from handlers.operation import TEXT, Access, operation


class MetricsPage(BaseHandler):
    """This node's metrics, for Prometheus."""

    @operation(Access.MONITORING, {200: TEXT}, errors=(404,))
    async def get(self) -> None:
        page = await self.services.monitoring.page(self.bearer)
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(page)
