"""Arrivals at risk: what to see to before guests stand at the door."""

from handlers.dashboard.base import DashboardHandler
from handlers.operation import PAGE, Access, operation
from handlers.views.key_list_view import arrival_rows
from server import clock


class ArrivalsPage(DashboardHandler):
    """Keys that begin within three days, on doors that are in trouble."""

    here = "arrivals"

    @operation(Access.DASHBOARD, {200: PAGE})
    async def get(self) -> None:
        arrivals = await self.services.arrivals.at_risk(self.operator.scope)
        self.render("dashboard/arrivals.html", rows=arrival_rows(arrivals, clock.now()))
