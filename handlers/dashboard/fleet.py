"""The fleet at a glance, locks with problems first."""

from typing import Annotated

from msgspec import Meta, Struct

from handlers.dashboard.base import DashboardHandler
from handlers.operation import PAGE, Access, operation
from handlers.views.fleet_view import attention_links, fleet_view
from server.services.fleet import FleetQuestion, Show


class FleetQuery(Struct, frozen=True, kw_only=True):
    """Which locks to list."""

    q: Annotated[str, Meta(max_length=200)] = ""
    show: Show = Show.ALL
    firmware: Annotated[str, Meta(max_length=100)] | None = None
    page: Annotated[int, Meta(ge=1, le=100_000)] = 1

    @property
    def question(self) -> FleetQuestion:
        return FleetQuestion(text=self.q, show=self.show, firmware=self.firmware, page=self.page)


class FleetPage(DashboardHandler):
    """All locks of the operator."""

    here = "fleet"

    @operation(Access.DASHBOARD, {200: PAGE}, query=FleetQuery)
    async def get(self, query: FleetQuery) -> None:
        found = await self.services.fleet.page(self.operator, query.question)
        self.render("dashboard/fleet.html", view=fleet_view(query.question, found))


class AttentionPart(DashboardHandler):
    """The counts of what needs attention, for a fleet page that is open already."""

    @operation(Access.DASHBOARD, {200: PAGE}, query=FleetQuery)
    async def get(self, query: FleetQuery) -> None:
        attention = await self.services.fleet.attention(self.operator)
        links = attention_links(query.question, attention)
        self.render("dashboard/_attention.html", links=links)
