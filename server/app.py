"""A server from its start to its end: what runs, in which order, and the application over it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
import tornado.web

from handlers.languages import load_languages
from handlers.pages import NoSuchRoute
from handlers.routes import url_specs
from handlers.static_files import StaticFile
from server.domain.database_errors import AnotherNode, WrongSchema
from server.domain.errors import LatchkeyError, StorageUnavailable
from server.domain.secrets import new_id
from server.logs import access_line
from server.services.metrics import Metrics
from server.services.registry import Services
from server.services.tasks import Tasks
from server.settings import Settings
from server.storage import migrations, mongo
from server.wiring import Parts, put_together

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).resolve().parent.parent
_FLUSH_WITHIN_S = 5.0
_STORAGE_RETRY_S = 1.0
_STORAGE_AT_START_S = 2.0
_NATS_AT_SHELL_S = 2.0


@asynccontextmanager
async def open_services(
    settings: Settings, mongodb_uri: str, give_up: Callable[[LatchkeyError], None] | None = None
) -> AsyncIterator[Services]:
    """A node: everything behind the handlers, running.

    MongoDB may be away: what needs it waits for it, and health says so meanwhile. Where it
    turns out that this node cannot work on what is stored there, ``give_up`` is told why. On
    leaving, locks are sent away and reports stored.
    """
    node_id = new_id()
    client = mongo.connect(mongodb_uri, timeout_s=settings.mongodb_timeout_s, node_id=node_id)
    database = client[settings.mongodb_database]
    parts = put_together(settings, database, node_id)
    tasks, prepared = Tasks(), asyncio.Event()
    if parts.nats is not None:
        tasks.spawn(parts.nats.run_forever(), "nats")
    reports_kept = timedelta(days=settings.reports_kept_days)

    async def work_or_give_up() -> None:
        try:
            await _work_on_storage(database, parts, tasks, reports_kept, prepared)
        except (WrongSchema, AnotherNode) as error:
            parts.services.health.begin_drain()
            if give_up is None:
                raise
            give_up(error)

    tasks.spawn(work_or_give_up(), "storage")
    tasks.spawn(parts.telemetry.write_forever(), "telemetry-writer")
    tasks.spawn(parts.loop_watch.run_forever(), "loop-watch")
    tasks.spawn(parts.services.fleet_feed.run_forever(), "fleet-feed")
    try:
        # So that nobody is told of locks as they were when an earlier process was killed.
        with suppress(TimeoutError):
            async with asyncio.timeout(_STORAGE_AT_START_S):
                await prepared.wait()
        yield parts.services
    finally:
        await parts.services.drain.run()
        await parts.telemetry.flush(_FLUSH_WITHIN_S)
        if parts.dispatch is not None:
            await parts.dispatch.stop(_FLUSH_WITHIN_S)
        await tasks.cancel()
        await parts.nodes.leave()
        await _close(parts, client)


@asynccontextmanager
async def open_administration(settings: Settings, mongodb_uri: str) -> AsyncIterator[Services]:
    """The same services at a shell, beside whatever nodes are running, without being one.

    What nodes have to hear of, they hear over NATS, where there is one.

    Raises:
        StorageUnavailable: MongoDB is away.
        WrongSchema: what is stored there is not of this server's shape.
    """
    client = mongo.connect(mongodb_uri, timeout_s=settings.mongodb_timeout_s)
    database = client[settings.mongodb_database]
    parts, tasks = put_together(settings, database, new_id()), Tasks()
    try:
        await migrations.prepare(database)
        if parts.nats is not None:
            tasks.spawn(parts.nats.run_forever(), "nats")
            if not await parts.nats.until_up(_NATS_AT_SHELL_S):
                log.warning("nats_away", note="the servers look for themselves within seconds")
        yield parts.services
    finally:
        await tasks.cancel()
        await _close(parts, client)


async def _close(parts: Parts, client: mongo.Client) -> None:
    if parts.tokens is not None:
        await parts.tokens.close()
    parts.webhook_client.close()
    client.close()


def make_app(services: Services) -> tornado.web.Application:
    """The web application over running services."""
    load_languages()
    return tornado.web.Application(
        url_specs(services),
        default_handler_class=NoSuchRoute,
        default_handler_args={"services": services},
        template_path=str(_ROOT / "templates"),
        static_path=str(_ROOT / "static"),
        static_handler_class=StaticFile,
        log_function=partial(_note_answer, services.monitoring.metrics),
    )


def _note_answer(metrics: Metrics, handler: tornado.web.RequestHandler) -> None:
    metrics.request_answered(handler.get_status())
    access_line(handler)


async def _look_at_transactions(client: mongo.Client) -> None:
    """Complain where MongoDB lets a transaction that nobody ends live for long."""
    seconds = await mongo.longest_transaction_s(client)
    if seconds is not None and seconds > mongo.LONGEST_TRANSACTION_S:
        log.warning("transactions_live_long", seconds=seconds, advised=mongo.LONGEST_TRANSACTION_S)


async def _work_on_storage(
    database: mongo.Database,
    parts: Parts,
    tasks: Tasks,
    reports_kept: timedelta,
    prepared: asyncio.Event,
) -> None:
    """Wait for MongoDB, have it ready, begin what depends on it, and keep this node's lease.

    Raises:
        WrongSchema, AnotherNode: this node cannot work on what is stored there.
    """
    while True:
        try:
            await migrations.prepare(database)
            await _look_at_transactions(database.client)
            await parts.nodes.begin()
            prepared.set()
            await parts.reports.forget_after(reports_kept)
        except StorageUnavailable as error:
            log.warning("waiting_for_mongodb", why=str(error.__cause__))
            await asyncio.sleep(_STORAGE_RETRY_S)
        else:
            break
    tasks.spawn(parts.outcomes.sweep_forever(), "sweeper")
    tasks.spawn(parts.audit.run_forever(), "audit-trail")
    if parts.dispatch is not None:
        tasks.spawn(parts.dispatch.run_forever(), "webhook-leases")
        tasks.spawn(parts.dispatch.follow_forever(), "webhook-news")
    await parts.nodes.keep_forever()
