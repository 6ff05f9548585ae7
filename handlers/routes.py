"""Every URL of the server, once."""

import re

import msgspec
from tornado.routing import URLSpec

from handlers.arrivals import ArrivalsAtRisk
from handlers.asyncapi import asyncapi_document
from handlers.base import BaseHandler
from handlers.commands import CommandsOfLock, OneCommand
from handlers.contracts import AsyncapiDocument, OpenapiDocument
from handlers.credentials import Credentials
from handlers.dashboard.routes import DASHBOARD_ROUTES
from handlers.docs import SWAGGER_UI, SWAGGER_UI_PATTERN, DocsPage
from handlers.events import Events
from handlers.guest import ConfirmationPage, ConfirmationStream, OpenDoor, OpenFirstDoor
from handlers.health import HealthPage, Live, Ready
from handlers.legacy_temp_keys import (
    CreateTempKey,
    DeleteTempKey,
    TempKeysOfLock,
    UpdateTempKey,
    UseTempKey,
)
from handlers.lock_commands import LOCK_COMMANDS
from handlers.lock_queries import BasicInfo, DebugMessages, Details, EventsOfLock, Residents
from handlers.lock_socket import LockSocket
from handlers.locks import LocksOfOrganization, OneLock
from handlers.metrics import MetricsPage
from handlers.openapi import openapi_document
from handlers.organization import LogoFile, OwnOrganization
from handlers.pins import OpenWithPin
from handlers.session import Session
from handlers.static_files import StaticFile
from handlers.stream import FleetStream
from handlers.telemetry import TelemetryOfLock
from handlers.temp_keys import (
    CollectiveTempKeys,
    ExplainTempKey,
    OneTempKey,
    OneTempKeyJson,
    QrCode,
    TempKeysOfOrganization,
)
from handlers.webhook_deliveries import (
    DeliveriesOfWebhook,
    Redeliver,
    TestWebhook,
)
from handlers.webhooks import OneWebhook, RotateSecret, WebhooksOfOrganization
from server.services.registry import Services

ROUTES: list[tuple[str, type[BaseHandler]]] = [
    ("/temp-keys", TempKeysOfOrganization),
    ("/temp-keys/at-risk", ArrivalsAtRisk),
    ("/temp-keys/{key_uuid}.json", OneTempKeyJson),
    ("/temp-keys/{key_uuid}", OneTempKey),
    ("/temp-keys/{key_uuid}/explain", ExplainTempKey),
    ("/temp-keys/{key_uuid}/qr.svg", QrCode),
    ("/temp-keys/{key_uuid}/open", OpenFirstDoor),
    ("/temp-keys/{key_uuid}/doors/{door_id}/open", OpenDoor),
    ("/temp-keys/{key_uuid}/confirmation", ConfirmationPage),
    ("/temp-keys/{key_uuid}/confirmation/stream", ConfirmationStream),
    ("/collective-temp-keys", CollectiveTempKeys),
    ("/collective-temp-keys/{key_uuid}", OneTempKey),
    ("/collective-temp-keys/{key_uuid}/doors/{door_id}/open", OpenDoor),
    ("/collective-temp-keys/{key_uuid}/confirmation", ConfirmationPage),
    ("/organization", OwnOrganization),
    ("/organizations/{org_id}/logo/{digest}", LogoFile),
    ("/locks", LocksOfOrganization),
    ("/locks/{lock_id}", OneLock),
    *LOCK_COMMANDS,
    ("/locks/{lock_id}/basic-info", BasicInfo),
    ("/locks/{lock_id}/details", Details),
    ("/locks/{lock_id}/residents", Residents),
    ("/locks/{lock_id}/events", EventsOfLock),
    ("/locks/{lock_id}/debug/messages", DebugMessages),
    ("/locks/{lock_id}/telemetry", TelemetryOfLock),
    ("/locks/{lock_id}/create-temp-key", CreateTempKey),
    ("/locks/{lock_id}/update-temp-key", UpdateTempKey),
    ("/locks/{lock_id}/delete-temp-key", DeleteTempKey),
    ("/locks/{lock_id}/use-temp-key", UseTempKey),
    ("/locks/{lock_id}/temp-keys", TempKeysOfLock),
    ("/locks/{lock_id}/commands", CommandsOfLock),
    ("/locks/{lock_id}/connect", LockSocket),
    ("/locks/{lock_id}/credentials", Credentials),
    ("/locks/{lock_id}/open-with-pin", OpenWithPin),
    ("/commands/{command_id}", OneCommand),
    ("/events", Events),
    ("/stream", FleetStream),
    ("/webhooks", WebhooksOfOrganization),
    ("/webhooks/{webhook_id}", OneWebhook),
    ("/webhooks/{webhook_id}/rotate-secret", RotateSecret),
    ("/webhooks/{webhook_id}/test", TestWebhook),
    ("/webhooks/{webhook_id}/deliveries", DeliveriesOfWebhook),
    ("/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", Redeliver),
    ("/session", Session),
    ("/health", HealthPage),
    ("/health/live", Live),
    ("/health/ready", Ready),
    ("/metrics", MetricsPage),
    ("/openapi.json", OpenapiDocument),
    ("/asyncapi.json", AsyncapiDocument),
    ("/docs", DocsPage),
]


def url_specs(services: Services) -> list[URLSpec]:
    """The routes as Tornado wants them; each ``{name}`` becomes an argument of the handler."""
    of_handler = {
        OpenapiDocument: {"document": msgspec.json.encode(openapi_document(ROUTES))},
        AsyncapiDocument: {"document": msgspec.json.encode(asyncapi_document(ROUTES))},
        DocsPage: {"routes": ROUTES},
    }
    specs = [
        URLSpec(_pattern(path), handler, {"services": services, **of_handler.get(handler, {})})
        for path, handler in ROUTES
    ]
    specs += [
        URLSpec(_pattern(path), handler, {"services": services})
        for path, handler in DASHBOARD_ROUTES
    ]
    return [*specs, URLSpec(SWAGGER_UI_PATTERN, StaticFile, {"path": SWAGGER_UI})]


def _pattern(path: str) -> str:
    return re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path.replace(".", r"\."))
