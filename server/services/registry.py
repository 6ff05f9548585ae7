"""The services that handlers call, in one place for them to find."""

from msgspec import Struct

from server.services.auth import Auth
from server.services.confirmations import Confirmations
from server.services.health import HealthCheck
from server.services.locks import Locks
from server.services.opening import Opening
from server.services.provisioning import Provisioning
from server.services.sessions import Sessions
from server.services.temp_keys import TempKeys


class Services(Struct, frozen=True, kw_only=True):
    """Everything that a request may ask for."""

    auth: Auth
    confirmations: Confirmations
    health: HealthCheck
    locks: Locks
    opening: Opening
    provisioning: Provisioning
    sessions: Sessions
    temp_keys: TempKeys
