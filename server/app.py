"""Where the parts are put together, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
import tornado.web
from msgspec import Struct

from handlers.base import NoSuchRoute
from handlers.languages import load_languages
from handlers.routes import url_specs
from handlers.static_files import StaticFile
from server.bus.local_bus import LocalBus
from server.bus.nats_bus import NatsBus
from server.bus.nats_link import NatsLink
from server.domain.errors import AnotherNode, LatchkeyError, StorageUnavailable, WrongSchema
from server.fetching import fetch_document
from server.logs import access_line
from server.metrics import PrometheusMetrics, ReadAtScrape
from server.services.admission import Admission, AdmissionLimits
from server.services.arrivals import Arrivals
from server.services.audit import AuditTrail
from server.services.auth import Auth
from server.services.confirmations import Confirmations
from server.services.credential_changes import CredentialChanges
from server.services.delivery import Delivery
from server.services.drain import Drain
from server.services.fleet import Fleet
from server.services.fleet_feed import FleetFeed
from server.services.guesses import Guesses
from server.services.guest_sessions import GuestSessions
from server.services.health import HealthCheck
from server.services.jwks import Jwks
from server.services.keys_at_risk import KeysAtRisk
from server.services.legacy_temp_keys import LegacyTempKeys
from server.services.lock_commands import LockCommands
from server.services.lock_credentials import LockCredentials
from server.services.lock_overviews import LockOverviews
from server.services.lock_queries import LockQueries
from server.services.locks import Locks
from server.services.loop_watch import LoopWatch
from server.services.metrics import Metrics
from server.services.monitoring import Monitoring
from server.services.nodes import ALONE, Nodes, this_process
from server.services.opening import Opening
from server.services.operator_opening import OperatorOpening
from server.services.operator_sessions import OperatorSessions
from server.services.organizations import Organizations
from server.services.outcomes import Outcomes
from server.services.pin_vault import PinVault
from server.services.pins import Pins, PinStores
from server.services.provisioning import Provisioning
from server.services.registry import Services
from server.services.sessions import Farewell, SessionLimits, Sessions
from server.services.tasks import Tasks
from server.services.telemetry import TelemetryWriter
from server.services.temp_keys import TempKeys
from server.services.tokens import SharedSecret, TokenPolicy, Tokens
from server.services.webhook_dispatch import WebhookDispatch
from server.services.webhook_runner import DeliveryPolicy, DeliveryStores
from server.services.webhook_sending import SigningSecrets, WebhookSender
from server.services.webhooks import Signing, Webhooks
from server.settings import Settings
from server.storage import migrations, mongo
from server.storage.arrival_store import ArrivalStore
from server.storage.command_store import CommandStore
from server.storage.delivery_store import DeliveryStore, LaggingLockStore
from server.storage.event_log import EventLog
from server.storage.event_store import EventStore
from server.storage.fleet_store import FleetStore
from server.storage.guess_store import GuessStore
from server.storage.lock_state_store import LockStateStore
from server.storage.lock_store import LockStore
from server.storage.lock_watch import LockWatch
from server.storage.node_store import NodeStore
from server.storage.operator_session_store import OperatorSessionStore
from server.storage.organization_store import OrganizationStore
from server.storage.pin_store import PinStore
from server.storage.presence_store import PresenceStore
from server.storage.report_store import ReportStore
from server.storage.secret_store import SecretStore
from server.storage.temp_key_store import TempKeyStore
from server.storage.webhook_store import WebhookStore
from server.webhook_client import WebhookClient

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).resolve().parent.parent
_FLUSH_WITHIN_S = 5.0
_STORAGE_RETRY_S = 1.0
_STORAGE_AT_START_S = 2.0
_NATS_AT_SHELL_S = 2.0


class _Parts(Struct, frozen=True, kw_only=True):
    """What was put together, as far as somebody must run or end it."""

    services: Services
    audit: AuditTrail
    loop_watch: LoopWatch
    nats: NatsBus | None
    nodes: Nodes
    outcomes: Outcomes
    reports: ReportStore
    sessions: Sessions
    telemetry: TelemetryWriter
    tokens: Tokens | None
    dispatch: WebhookDispatch | None
    webhook_client: WebhookClient


@asynccontextmanager
async def open_services(
    settings: Settings, mongodb_uri: str, give_up: Callable[[LatchkeyError], None] | None = None
) -> AsyncIterator[Services]:
    """A node: everything behind the handlers, running.

    MongoDB may be away: what needs it waits for it, and health says so meanwhile. Where it
    turns out that this node cannot work on what is stored there, ``give_up`` is told why. On
    leaving, locks are sent away and reports stored.
    """
    client = mongo.connect(mongodb_uri, timeout_s=settings.mongodb_timeout_s)
    database = client[settings.mongodb_database]
    parts = _put_together(settings, database)
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
    parts, tasks = _put_together(settings, database), Tasks()
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


async def _close(parts: _Parts, client: mongo.Client) -> None:
    if parts.tokens is not None:
        await parts.tokens.close()
    parts.webhook_client.close()
    client.close()


def _put_together(settings: Settings, database: mongo.Database) -> _Parts:
    locks, commands, keys = LockStore(database), CommandStore(database), TempKeyStore(database)
    organizations, reports = OrganizationStore(database), ReportStore(database)
    events, event_log, states = EventStore(database), EventLog(database), LockStateStore(database)
    presence = PresenceStore(database)
    nats = _nats_bus(settings)
    bus = LocalBus() if nats is None else nats
    node = this_process(settings.node_name, settings.port, ALONE if nats is None else "nats")
    metrics = PrometheusMetrics()
    outcomes = Outcomes(commands, keys, bus, metrics)
    telemetry = TelemetryWriter(reports, settings.most_waiting_reports, metrics)
    limits = SessionLimits(
        liveness=settings.liveness,
        hello_within_s=settings.hello_within_s,
        frames=settings.frames,
    )
    sessions = Sessions(
        node.id, locks, presence, commands, outcomes, telemetry, bus, limits, metrics
    )
    nodes = Nodes(node, NodeStore(database), presence, sessions, metrics)
    delivery = Delivery(commands, outcomes, bus)
    command_life = timedelta(seconds=settings.command_life_s)
    opening = Opening(keys, locks, commands, outcomes, delivery, bus, command_life, metrics)
    guesses = Guesses(GuessStore(database))
    pin_stores = PinStores(pins=PinStore(database), keys=keys, locks=locks)
    pins = Pins(pin_stores, guesses, opening, _pin_vault(settings))
    temp_keys = TempKeys(keys, locks, events, outcomes, pins)
    tokens = _tokens(settings)
    session_secret = settings.session_secret
    guest_sessions = GuestSessions(
        SecretStore(database), None if session_secret is None else session_secret.reveal()
    )
    credentials = LockCredentials(locks)
    admission_limits = AdmissionLimits(
        most_locks=settings.most_locks, connects_a_second=settings.connects_a_second
    )
    delivery_stores = DeliveryStores(
        webhooks=WebhookStore(database),
        deliveries=DeliveryStore(database),
        lags=LaggingLockStore(database),
        event_log=event_log,
        events=events,
    )
    delivery_policy = DeliveryPolicy(
        timeout_s=settings.webhook_timeout_s, delays_s=settings.webhook_retries_s
    )
    webhook_client = WebhookClient(
        settings.webhook_timeout_s, loopback_allowed=settings.webhook_loopback
    )
    signing = _signing(settings, webhook_client)
    dispatch = None
    if signing is not None:
        dispatch = WebhookDispatch(
            node.id, delivery_stores, signing.sender, delivery_policy, metrics
        )
    admission = Admission(admission_limits, metrics)
    confirmations = Confirmations(temp_keys, outcomes, bus)
    fleet_feed = FleetFeed(LockWatch(database), locks, event_log)
    loop_watch, fleet_store = LoopWatch(metrics), FleetStore(database)
    arrivals = Arrivals(ArrivalStore(database), fleet_store)
    health = HealthCheck(
        partial(mongo.ping, database),
        None if nats is None else nats.ping,
        presence,
        sessions,
        loop_watch,
        KeysAtRisk(arrivals),
    )
    metrics.read(
        ReadAtScrape(
            locks_online=lambda: sessions.online,
            connections=lambda: admission.connected,
            connections_limit=settings.most_locks,
            reports_waiting=lambda: telemetry.waiting,
            reports_waiting_limit=settings.most_waiting_reports,
            webhook_locks_waiting=lambda: 0 if dispatch is None else dispatch.locks_waiting,
        )
    )
    metrics_token = settings.metrics_token
    monitoring = Monitoring(
        metrics, metrics.page, health, None if metrics_token is None else metrics_token.reveal()
    )
    farewell = Farewell(a_second=settings.connects_a_second, window_s=settings.drain_window_s)
    auth = Auth(organizations, credentials, guest_sessions, tokens)
    fleet, desk_locks = Fleet(fleet_store), Locks(locks, commands)
    queries = LockQueries(locks, commands, reports, event_log)
    services = Services(
        admission=admission,
        arrivals=arrivals,
        auth=auth,
        confirmations=confirmations,
        credential_changes=CredentialChanges(credentials, locks, events, bus),
        drain=Drain(health, admission, sessions, confirmations, fleet_feed, farewell),
        fleet=fleet,
        fleet_feed=fleet_feed,
        guesses=guesses,
        health=health,
        legacy_temp_keys=LegacyTempKeys(temp_keys, keys, locks, events),
        lock_commands=LockCommands(locks, states, organizations, events, bus),
        lock_overviews=LockOverviews(desk_locks, queries, temp_keys, fleet),
        lock_queries=queries,
        locks=desk_locks,
        monitoring=monitoring,
        opening=opening,
        operator_opening=OperatorOpening(locks, events, outcomes, delivery, command_life),
        organizations=Organizations(organizations),
        operator_sessions=OperatorSessions(OperatorSessionStore(database), auth, guesses),
        pins=pins,
        provisioning=Provisioning(organizations, locks, events),
        sessions=sessions,
        temp_keys=temp_keys,
        webhooks=Webhooks(delivery_stores, webhook_client.check, delivery_policy, signing),
        trusted_proxies=settings.trusted_proxies,
    )
    return _Parts(
        services=services,
        audit=AuditTrail(events, event_log, states, commands, reports),
        loop_watch=loop_watch,
        nats=nats,
        nodes=nodes,
        outcomes=outcomes,
        reports=reports,
        sessions=sessions,
        telemetry=telemetry,
        tokens=tokens,
        dispatch=dispatch,
        webhook_client=webhook_client,
    )


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


async def _work_on_storage(
    database: mongo.Database,
    parts: _Parts,
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


def _nats_bus(settings: Settings) -> NatsBus | None:
    if settings.nats_url is None:
        return None
    return NatsBus(NatsLink(settings.nats_url.reveal()), settings.nats_prefix)


def _pin_vault(settings: Settings) -> PinVault | None:
    return None if settings.pin_secret is None else PinVault(settings.pin_secret.reveal())


def _signing(settings: Settings, client: WebhookClient) -> Signing | None:
    if settings.webhook_secret is None:
        return None
    secrets = SigningSecrets(settings.webhook_secret.reveal())
    return Signing(secrets=secrets, sender=WebhookSender(secrets, client.post))


def _tokens(settings: Settings) -> Tokens | None:
    if settings.jwt_secret is not None:
        algorithms, keys = ("HS256",), SharedSecret(settings.jwt_secret.reveal())
    elif settings.jwt_jwks_url is not None:
        algorithms = settings.jwt_algorithms
        keys = Jwks(settings.jwt_jwks_url, fetch_document, algorithms)
    else:
        return None
    policy = TokenPolicy(
        issuer=settings.jwt_issuer, audience=settings.jwt_audience, algorithms=algorithms
    )
    return Tokens(policy, keys)
