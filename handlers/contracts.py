"""The published contracts, which are made once, at start."""

from typing import Any

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from server.services.registry import Services


class _PublishedDocument(BaseHandler):
    def initialize(self, services: Services, document: bytes = b"") -> None:
        super().initialize(services)
        self._document = document

    @operation(Access.PUBLIC, {200: Answer(dict[str, Any])})
    async def get(self) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(self._document)


class OpenapiDocument(_PublishedDocument):
    """This contract, for programs."""


class AsyncapiDocument(_PublishedDocument):
    """The lock protocol: the frames of a lock's connection, both ways."""
