"""The contract for people: Swagger UI over the OpenAPI document."""

from collections.abc import Sequence
from typing import Any

import swagger_ui_bundle

from handlers.base import BaseHandler
from handlers.openapi import methods_of
from handlers.operation import PAGE, Access, operation
from handlers.pages import PageHandler
from handlers.static_files import StaticFile
from server.services.registry import Services

SWAGGER_UI = str(swagger_ui_bundle.swagger_ui_path)
"""The folder of Swagger UI's files, in the package that carries them."""

SWAGGER_UI_PATTERN = r"/docs/(swagger-ui-bundle\.js|swagger-ui\.css)"
"""The addresses of those of its files that the page needs."""


class DocsPage(PageHandler):
    """This contract, to read and to try."""

    def initialize(
        self, services: Services, routes: Sequence[tuple[str, type[BaseHandler]]] = ()
    ) -> None:
        super().initialize(services)
        self._routes = routes

    @operation(Access.PUBLIC, {200: PAGE})
    async def get(self) -> None:
        self.render("docs.html", routes=methods_of(self._routes), swagger_ui=_swagger_ui_url)


def _swagger_ui_url(file: str) -> str:
    """Where a file of Swagger UI is served, with its version."""
    settings: dict[str, Any] = {"static_path": SWAGGER_UI, "static_url_prefix": "/docs/"}
    return StaticFile.make_static_url(settings, file)
