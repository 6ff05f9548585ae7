"""The services that handlers call, in one place for them to find."""

from msgspec import Struct

from server.domain.addresses import Network
from server.services.admission import Admission
from server.services.arrivals import Arrivals
from server.services.auth import Auth
from server.services.confirmations import Confirmations
from server.services.credential_changes import CredentialChanges
from server.services.drain import Drain
from server.services.fleet import Fleet
from server.services.fleet_feed import FleetFeed
from server.services.guesses import Guesses
from server.services.health import HealthCheck
from server.services.legacy_temp_keys import LegacyTempKeys
from server.services.lock_commands import LockCommands
from server.services.lock_overviews import LockOverviews
from server.services.lock_queries import LockQueries
from server.services.locks import Locks
from server.services.monitoring import Monitoring
from server.services.opening import Opening
from server.services.operator_opening import OperatorOpening
from server.services.operator_sessions import OperatorSessions
from server.services.organizations import Organizations
from server.services.pins import Pins
from server.services.provisioning import Provisioning
from server.services.sessions import Sessions
from server.services.temp_keys import TempKeys
from server.services.webhooks import Webhooks


class Services(Struct, frozen=True, kw_only=True):
    """Everything that a request may ask for, and the proxies that are believed about it."""

    admission: Admission
    arrivals: Arrivals
    auth: Auth
    confirmations: Confirmations
    credential_changes: CredentialChanges
    drain: Drain
    fleet: Fleet
    fleet_feed: FleetFeed
    guesses: Guesses
    health: HealthCheck
    legacy_temp_keys: LegacyTempKeys
    lock_commands: LockCommands
    lock_queries: LockQueries
    lock_overviews: LockOverviews
    locks: Locks
    monitoring: Monitoring
    opening: Opening
    operator_opening: OperatorOpening
    organizations: Organizations
    operator_sessions: OperatorSessions
    pins: Pins
    provisioning: Provisioning
    sessions: Sessions
    temp_keys: TempKeys
    webhooks: Webhooks
    trusted_proxies: tuple[Network, ...] = ()
