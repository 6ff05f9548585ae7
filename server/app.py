"""Where the parts are put together, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
import tornado.web

from handlers.base import NoSuchRoute
from handlers.routes import url_specs
from handlers.static_files import StaticFile
from server.bus.local_bus import LocalBus
from server.domain.errors import StorageUnavailable
from server.domain.secrets import new_id
from server.logs import access_line
from server.services.auth import Auth, JwtPolicy
from server.services.confirmations import Confirmations
from server.services.health import HealthCheck
from server.services.locks import Locks
from server.services.nodes import Nodes
from server.services.opening import Opening
from server.services.outcomes import Outcomes
from server.services.provisioning import Provisioning
from server.services.registry import Services
from server.services.sessions import SessionLimits, Sessions
from server.services.tasks import Tasks
from server.services.telemetry import TelemetryWriter
from server.services.temp_keys import TempKeys
from server.settings import Settings
from server.storage import mongo
from server.storage.command_store import CommandStore
from server.storage.lock_store import LockStore
from server.storage.node_store import NodeStore
from server.storage.organization_store import OrganizationStore
from server.storage.report_store import ReportStore
from server.storage.temp_key_store import TempKeyStore

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).resolve().parent.parent
_DRAIN_WITHIN_S = 10.0
_STORAGE_RETRY_S = 1.0


@asynccontextmanager
async def open_services(settings: Settings, mongodb_uri: str) -> AsyncIterator[Services]:
    """Everything behind the handlers, running; on leaving, locks are sent away and reports stored.

    MongoDB may be away: what needs it waits for it, and health says so meanwhile.
    """
    client = mongo.connect(mongodb_uri, timeout_s=settings.mongodb_timeout_s)
    database = client[settings.mongodb_database]
    locks, commands, keys = LockStore(database), CommandStore(database), TempKeyStore(database)
    organizations, reports = OrganizationStore(database), ReportStore(database)
    bus = LocalBus()
    node_id = new_id()
    nodes = Nodes(node_id, NodeStore(database), locks)
    outcomes = Outcomes(commands, keys, bus)
    telemetry = TelemetryWriter(reports)
    limits = SessionLimits(liveness=settings.liveness, hello_within_s=settings.hello_within_s)
    sessions = Sessions(node_id, locks, commands, outcomes, telemetry, bus, limits)
    temp_keys = TempKeys(keys, locks, outcomes)
    services = Services(
        auth=Auth(organizations, locks, _jwt_policy(settings)),
        confirmations=Confirmations(temp_keys, outcomes, bus),
        health=HealthCheck(partial(mongo.ping, database), locks, sessions),
        locks=Locks(locks, commands),
        opening=Opening(keys, commands, outcomes, bus, timedelta(seconds=settings.command_life_s)),
        provisioning=Provisioning(organizations, locks),
        sessions=sessions,
        temp_keys=temp_keys,
    )
    tasks = Tasks()
    tasks.spawn(_prepare_storage(database, nodes, outcomes, tasks), "prepare-storage")
    tasks.spawn(telemetry.write_forever(), "telemetry-writer")
    try:
        yield services
    finally:
        services.health.begin_drain()
        await sessions.drain(_DRAIN_WITHIN_S)
        await telemetry.flush(_DRAIN_WITHIN_S)
        await tasks.cancel()
        await nodes.leave()
        client.close()


def make_app(services: Services) -> tornado.web.Application:
    """The web application over running services."""
    return tornado.web.Application(
        url_specs(services),
        default_handler_class=NoSuchRoute,
        default_handler_args={"services": services},
        template_path=str(_ROOT / "templates"),
        static_path=str(_ROOT / "static"),
        static_handler_class=StaticFile,
        log_function=access_line,
    )


async def _prepare_storage(
    database: mongo.Database, nodes: Nodes, outcomes: Outcomes, tasks: Tasks
) -> None:
    """Wait for MongoDB, make its indexes, and begin what depends on it."""
    while True:
        try:
            await mongo.create_indexes(database)
            await nodes.begin_alone()
        except StorageUnavailable:
            log.warning("waiting_for_mongodb")
            await asyncio.sleep(_STORAGE_RETRY_S)
        else:
            break
    tasks.spawn(nodes.renew_forever(), "node-lease")
    tasks.spawn(outcomes.sweep_forever(), "sweeper")


def _jwt_policy(settings: Settings) -> JwtPolicy | None:
    if settings.jwt_secret is None:
        return None
    return JwtPolicy(
        secret=settings.jwt_secret.reveal(),
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
    )
