"""Every URL of the server, once."""

import re

from tornado.routing import URLSpec

from handlers.base import BaseHandler
from handlers.commands import CommandsOfLock, OneCommand
from handlers.docs import DocsPage
from handlers.guest import ConfirmationPage, ConfirmationStream, OpenDoor, OpenFirstDoor
from handlers.health import HealthPage, Live, Ready
from handlers.lock_socket import LockSocket
from handlers.locks import LocksOfOrganization, OneLock
from handlers.temp_keys import OneTempKey, TempKeysOfOrganization
from server.services.registry import Services

ROUTES: list[tuple[str, type[BaseHandler]]] = [
    ("/temp-keys", TempKeysOfOrganization),
    ("/temp-keys/{key_uuid}", OneTempKey),
    ("/temp-keys/{key_uuid}/open", OpenFirstDoor),
    ("/temp-keys/{key_uuid}/doors/{door_id}/open", OpenDoor),
    ("/temp-keys/{key_uuid}/confirmation", ConfirmationPage),
    ("/temp-keys/{key_uuid}/confirmation/stream", ConfirmationStream),
    ("/locks", LocksOfOrganization),
    ("/locks/{lock_id}", OneLock),
    ("/locks/{lock_id}/commands", CommandsOfLock),
    ("/locks/{lock_id}/connect", LockSocket),
    ("/commands/{command_id}", OneCommand),
    ("/health", HealthPage),
    ("/health/live", Live),
    ("/health/ready", Ready),
]


def url_specs(services: Services) -> list[URLSpec]:
    """The routes as Tornado wants them; each ``{name}`` becomes an argument of the handler."""
    given = {"services": services}
    specs = [URLSpec(_pattern(path), handler, given) for path, handler in ROUTES]
    return [*specs, URLSpec("/docs", DocsPage, {"services": services, "routes": ROUTES})]


def _pattern(path: str) -> str:
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
