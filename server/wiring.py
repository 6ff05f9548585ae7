"""Which part is given which others: the only place where that is decided."""

from datetime import timedelta
from functools import partial

from msgspec import Struct

from server import logs
from server.bus.local_bus import LocalBus
from server.bus.nats_bus import NatsBus
from server.bus.nats_link import NatsLink
from server.fetching import fetch_document
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
from server.services.legacy_temp_keys import LegacyTempKeys
from server.services.lock_commands import LockCommands
from server.services.lock_credentials import LockCredentials
from server.services.lock_overviews import LockOverviews
from server.services.lock_queries import LockQueries
from server.services.locks import Locks
from server.services.loop_watch import LoopWatch
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
from server.services.seldom import Seldom
from server.services.sessions import Farewell, SessionLimits, Sessions
from server.services.telemetry import TelemetryWriter
from server.services.temp_keys import TempKeys
from server.services.tokens import SharedSecret, TokenPolicy, Tokens
from server.services.webhook_dispatch import WebhookDispatch
from server.services.webhook_outcomes import DeliveryPolicy, DeliveryStores
from server.services.webhook_sending import SigningSecrets, WebhookSender
from server.services.webhooks import Signing, Webhooks
from server.settings import Settings
from server.storage import mongo
from server.storage.arrival_store import ArrivalStore
from server.storage.command_store import CommandStore
from server.storage.delivery_store import DeliveryStore, LaggingLockStore
from server.storage.event_log import EventLog
from server.storage.event_store import EventStore
from server.storage.fleet_store import FleetStore
from server.storage.guess_store import GuessStore
from server.storage.link_store import LinkStore
from server.storage.lock_state_store import LockStateStore
from server.storage.lock_store import LockStore
from server.storage.lock_watch import LockWatch
from server.storage.mark_store import MarkStore
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


class Parts(Struct, frozen=True, kw_only=True):
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


def put_together(settings: Settings, database: mongo.Database, node_id: str) -> Parts:
    """All parts of a node, or of a shell beside the nodes, over one database; none of them runs."""
    locks, commands, keys = LockStore(database), CommandStore(database), TempKeyStore(database)
    organizations, reports = OrganizationStore(database), ReportStore(database)
    events, event_log, states = EventStore(database), EventLog(database), LockStateStore(database)
    presence, links = PresenceStore(database), LinkStore(database)
    nats = _nats_bus(settings)
    bus = LocalBus() if nats is None else nats
    hears = ALONE if nats is None else "nats"
    node = this_process(node_id, settings.node_name, settings.port, hears)
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
    opening = Opening(keys, links, commands, outcomes, delivery, bus, command_life, metrics)
    guesses = Guesses(GuessStore(database))
    pin_stores = PinStores(pins=PinStore(database), keys=keys, locks=locks)
    pins = Pins(pin_stores, guesses, opening, _pin_vault(settings))
    temp_keys = TempKeys(keys, links, locks, events, outcomes, pins)
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
    confirmations = Confirmations(links, bus)
    fleet_feed = FleetFeed(LockWatch(database), locks, event_log)
    loop_watch, fleet_store = LoopWatch(metrics), FleetStore(database)
    arrivals = Arrivals(ArrivalStore(database), fleet_store)
    health = HealthCheck(
        partial(mongo.ping, database),
        None if nats is None else nats.ping,
        presence,
        sessions,
        loop_watch,
        Seldom(arrivals.count_at_risk),
    )
    metrics.read(
        ReadAtScrape(
            locks_online=lambda: sessions.online,
            connections=lambda: admission.connected,
            connections_limit=settings.most_locks,
            reports_waiting=lambda: telemetry.waiting,
            reports_waiting_limit=settings.most_waiting_reports,
            webhook_locks_waiting=lambda: 0 if dispatch is None else dispatch.locks_waiting,
            log_lines_dropped=logs.lines_dropped,
        )
    )
    metrics_token = settings.metrics_token
    monitoring = Monitoring(
        metrics,
        metrics.page,
        health,
        Seldom(presence.count_offline),
        None if metrics_token is None else metrics_token.reveal(),
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
    return Parts(
        services=services,
        audit=AuditTrail(events, event_log, states, commands, reports, MarkStore(database)),
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
