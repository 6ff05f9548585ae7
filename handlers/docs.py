"""The list of routes, for whoever programs against them."""

from collections.abc import Sequence

from msgspec import Struct

from handlers.base import BaseHandler, PageHandler
from handlers.operation import PAGE, Access, operation
from server.services.registry import Services


class DocumentedRoute(Struct, frozen=True, kw_only=True):
    """One method of one route."""

    method: str
    path: str
    access: str
    summary: str


class DocsPage(PageHandler):
    """What this server answers to."""

    def initialize(
        self, services: Services, routes: Sequence[tuple[str, type[BaseHandler]]] = ()
    ) -> None:
        super().initialize(services)
        self._routes = routes

    @operation(Access.PUBLIC, {200: PAGE})
    async def get(self) -> None:
        self.render("docs.html", routes=documented(self._routes))


def documented(routes: Sequence[tuple[str, type[BaseHandler]]]) -> list[DocumentedRoute]:
    """Each method of each route, with the first sentence of its handler."""
    return [
        DocumentedRoute(
            method=method,
            path=path,
            access=declared.access.value,
            summary=(handler.__doc__ or "").split("\n\n")[0],
        )
        for path, handler in routes
        for method, declared in handler.operations.items()
    ]
