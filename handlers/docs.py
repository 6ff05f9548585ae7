"""The list of routes, for whoever programs against them."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from msgspec import Struct

from handlers.base import Access, BaseHandler, PageHandler
from server.services.registry import Services


class DocumentedRoute(Struct, frozen=True, kw_only=True):
    """One method of one route."""

    method: str
    path: str
    access: str
    summary: str


class DocsPage(PageHandler):
    """``GET /docs``: what this server answers to."""

    access: ClassVar[Mapping[str, Access]] = {"GET": Access.PUBLIC}

    def initialize(
        self, services: Services, routes: Sequence[tuple[str, type[BaseHandler]]] = ()
    ) -> None:
        super().initialize(services)
        self._routes = routes

    async def get(self) -> None:
        self.render("docs.html", routes=documented(self._routes))


def documented(routes: Sequence[tuple[str, type[BaseHandler]]]) -> list[DocumentedRoute]:
    """Each method of each route, with the first sentence of its handler."""
    return [
        DocumentedRoute(
            method=method,
            path=path,
            access=access.value,
            summary=(handler.__doc__ or "").split("\n\n")[0].replace("``", ""),
        )
        for path, handler in routes
        for method, access in handler.access.items()
    ]
