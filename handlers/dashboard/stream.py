"""The pages live: rows of the fleet and lines of the event list, as they change."""

from functools import cached_property

import msgspec
from tornado.template import BaseLoader

from handlers.dashboard.base import DashboardHandler
from handlers.operation import EVENTS, Access, operation
from handlers.sse import FleetStreamHandler, message
from handlers.stream import event_cursor
from handlers.views.event_view import event_view
from handlers.views.fleet_view import lock_row
from server import clock
from server.domain.events import RecordedEvent
from server.domain.locks import Lock


class HtmlEncoding:
    """Each thing as a piece of the page that shows it."""

    def __init__(self, templates: BaseLoader) -> None:
        self._row = templates.load("dashboard/_fleet_row.html")
        self._event = templates.load("dashboard/_event.html")

    def ready(self, position: int, complete: bool) -> bytes:
        return message("ready", msgspec.json.encode({"complete": complete}), position)

    def lock(self, lock: Lock) -> bytes:
        return message("row", self._row.generate(row=lock_row(lock, None, clock.now())))

    def event(self, event: RecordedEvent, lock: Lock | None) -> bytes:
        html = self._event.generate(event=event_view(event, lock, clock.now()))
        return message("event", html, event.position)


class DashboardStream(FleetStreamHandler, DashboardHandler):
    """What changes on the dashboard's pages."""

    @operation(Access.DASHBOARD, {200: EVENTS}, errors=(400,))
    async def get(self) -> None:
        last = event_cursor(self.request.headers.get("Last-Event-ID"))
        await self.stream(self._encoding, last, self.ask_credential)

    @cached_property
    def _encoding(self) -> HtmlEncoding:
        """One for the whole application, so that everybody shares what it writes."""
        settings = self.application.settings
        if "dashboard_encoding" not in settings:
            loader = self.create_template_loader(settings["template_path"])
            settings["dashboard_encoding"] = HtmlEncoding(loader)
        return settings["dashboard_encoding"]
