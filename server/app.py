"""Where the parts are put together, and nowhere else."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import structlog
import tornado.web
from msgspec import Struct
from tornado.httpclient import HTTPError
from tornado.iostream import StreamClosedError
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from handlers.base import NoSuchRoute
from handlers.languages import load_languages
from handlers.routes import url_specs
from handlers.static_files import StaticFile
from server.bus.local_bus import LocalBus
from server.domain.errors import LatchkeyError, StorageUnavailable, WrongSchema
from server.domain.secrets import new_id
from server.logs import access_line
from server.services.admission import Admission, AdmissionLimits
from server.services.audit import AuditTrail
from server.services.auth import Auth
from server.services.confirmations import Confirmations
from server.services.credential_changes import CredentialChanges
from server.services.drain import Drain
from server.services.fleet_feed import FleetFeed
from server.services.guesses import Guesses
from server.services.guest_sessions import GuestSessions
from server.services.health import HealthCheck
from server.services.jwks import Jwks
from server.services.legacy_temp_keys import LegacyTempKeys
from server.services.lock_commands import LockCommands
from server.services.lock_credentials import LockCredentials
from server.services.lock_queries import LockQueries
from server.services.locks import Locks
from server.services.nodes import Nodes
from server.services.opening import Opening
from server.services.operator_opening import OperatorOpening
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
from server.storage.command_store import CommandStore
from server.storage.delivery_store import DeliveryStore, LaggingLockStore
from server.storage.event_log import EventLog
from server.storage.event_store import EventStore
from server.storage.guess_store import GuessStore
from server.storage.lock_state_store import LockStateStore
from server.storage.lock_store import LockStore
from server.storage.lock_watch import LockWatch
from server.storage.node_store import NodeStore
from server.storage.organization_store import OrganizationStore
from server.storage.pin_store import PinStore
from server.storage.report_store import ReportStore
from server.storage.secret_store import SecretStore
from server.storage.temp_key_store import TempKeyStore
from server.storage.webhook_store import WebhookStore
from server.webhook_client import WebhookClient

log = structlog.get_logger(__name__)

_ROOT = Path(__file__).resolve().parent.parent
_FLUSH_WITHIN_S = 5.0
_STORAGE_RETRY_S = 1.0
_FETCH_WITHIN_S = 5.0
_MOST_DOCUMENT_BYTES = 256 * 1024


class _Parts(Struct, frozen=True, kw_only=True):
    """What was put together, as far as somebody must run or end it."""

    services: Services
    audit: AuditTrail
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
    tasks = Tasks()
    reports_kept = timedelta(days=settings.reports_kept_days)
    prepared = _prepare_storage(database, parts, tasks, reports_kept, give_up)
    tasks.spawn(prepared, "prepare-storage")
    tasks.spawn(parts.telemetry.write_forever(), "telemetry-writer")
    tasks.spawn(parts.services.fleet_feed.run_forever(), "fleet-feed")
    try:
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

    Raises:
        StorageUnavailable: MongoDB is away.
        WrongSchema: what is stored there is not of this server's shape.
    """
    client = mongo.connect(mongodb_uri, timeout_s=settings.mongodb_timeout_s)
    database = client[settings.mongodb_database]
    parts = _put_together(settings, database)
    try:
        await migrations.prepare(database)
        yield parts.services
    finally:
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
    bus = LocalBus()
    node_id = new_id()
    outcomes = Outcomes(commands, keys, bus)
    telemetry = TelemetryWriter(reports, settings.most_waiting_reports)
    limits = SessionLimits(
        liveness=settings.liveness,
        hello_within_s=settings.hello_within_s,
        frames=settings.frames,
    )
    sessions = Sessions(node_id, locks, commands, outcomes, telemetry, bus, limits)
    nodes = Nodes(node_id, NodeStore(database), locks, sessions)
    command_life = timedelta(seconds=settings.command_life_s)
    opening = Opening(keys, locks, commands, outcomes, bus, command_life)
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
        dispatch = WebhookDispatch(node_id, delivery_stores, signing.sender, delivery_policy)
    admission = Admission(admission_limits)
    confirmations = Confirmations(temp_keys, outcomes, bus)
    fleet_feed = FleetFeed(LockWatch(database), locks, event_log)
    health = HealthCheck(partial(mongo.ping, database), locks, sessions)
    farewell = Farewell(a_second=settings.connects_a_second, window_s=settings.drain_window_s)
    services = Services(
        admission=admission,
        auth=Auth(organizations, credentials, guest_sessions, tokens),
        confirmations=confirmations,
        credential_changes=CredentialChanges(credentials, locks, events, sessions),
        drain=Drain(health, admission, sessions, confirmations, fleet_feed, farewell),
        fleet_feed=fleet_feed,
        guesses=guesses,
        health=health,
        legacy_temp_keys=LegacyTempKeys(temp_keys, keys, locks, events),
        lock_commands=LockCommands(locks, states, organizations, events, sessions),
        lock_queries=LockQueries(locks, commands, reports, event_log),
        locks=Locks(locks, commands),
        opening=opening,
        operator_opening=OperatorOpening(locks, events, outcomes, bus, command_life),
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
        log_function=access_line,
    )


async def _prepare_storage(
    database: mongo.Database,
    parts: _Parts,
    tasks: Tasks,
    reports_kept: timedelta,
    give_up: Callable[[LatchkeyError], None] | None,
) -> None:
    """Wait for MongoDB, have it ready, and begin what depends on it."""
    while True:
        try:
            await migrations.prepare(database)
            await parts.reports.forget_after(reports_kept)
            await parts.nodes.begin_alone()
        except StorageUnavailable:
            log.warning("waiting_for_mongodb")
            await asyncio.sleep(_STORAGE_RETRY_S)
        except WrongSchema as error:
            parts.services.health.begin_drain()
            if give_up is None:
                raise
            give_up(error)
            return
        else:
            break
    tasks.spawn(parts.nodes.renew_forever(), "node-lease")
    tasks.spawn(parts.outcomes.sweep_forever(), "sweeper")
    tasks.spawn(parts.audit.run_forever(), "audit-trail")
    if parts.dispatch is not None:
        tasks.spawn(parts.dispatch.run_forever(), "webhook-leases")
        tasks.spawn(parts.dispatch.follow_forever(), "webhook-news")


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


async def fetch_document(url: str) -> bytes:
    """Get a small document: within seconds, from that very address, and not compressed.

    Raises:
        OSError: it cannot be had.
    """
    client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=_MOST_DOCUMENT_BYTES)
    try:
        answer = await client.fetch(
            url,
            connect_timeout=_FETCH_WITHIN_S,
            request_timeout=_FETCH_WITHIN_S,
            follow_redirects=False,
            decompress_response=False,
        )
    except (HTTPError, StreamClosedError) as error:
        raise ConnectionError(str(error)) from error
    finally:
        client.close()
    return answer.body
