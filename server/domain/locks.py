"""A lock as the server knows it: who owns it, whether it is connected, what it last said."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from server.domain.protocol import BoltState, DoorState

LOW_BATTERY_PERCENT = 20

OpenForSeconds = Annotated[float, Meta(ge=1, le=60)]
HeartbeatSeconds = Annotated[float, Meta(ge=1, le=600)]
KeyUuid = Annotated[str, Meta(min_length=1, max_length=200)]
KeyIndex = Annotated[int, Meta(ge=0, le=2**31 - 1)]
PersonId = Annotated[str, Meta(min_length=1, max_length=255)]


_ROUNDS_OF_PINGS = 80
"""In each heartbeat: every quarter of a second, where that is 20 s."""
_ANSWER_WITHIN_S = 5.0
"""A lock may miss one heartbeat, and take this long to answer the next."""


class OfflineReason(StrEnum):
    """Why a lock is offline ("Liveness" of the lock protocol)."""

    CLOSED = "closed"
    TIMEOUT = "timeout"
    SUPERSEDED = "superseded"
    SERVER_LOST = "serverLost"
    DRAINED = "drained"
    CREDENTIAL_REVOKED = "credentialRevoked"


NEVER_CONNECTED = "never"
"""What is counted where a lock has no such reason: it was made, and has not been online yet."""


class Connection(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock's presence: nothing but the liveness of its connection changes ``online``.

    ``since`` is when ``online`` last changed; ``session_id`` names the session
    that wrote this, so that a dead session's late goodbye can be told apart.
    ``clock_skew_ms`` is how far the lock's clock is ahead of the server's, measured anew in
    each session.
    """

    online: bool = False
    since: datetime | None = None
    session_id: str | None = None
    node_id: str | None = None
    offline_reason: OfflineReason | None = None
    last_seen_at: datetime | None = None
    firmware: str | None = None
    model: str | None = None
    clock_skew_ms: int | None = None


class PresenceChange(Struct, frozen=True, kw_only=True):
    """One change of ``online``, kept beside the lock until its event is recorded."""

    id: str
    online: bool
    at: datetime
    reason: OfflineReason | None = None


class LatestReading(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The newest value that the lock has reported of each measurement."""

    seq: int
    epoch: str
    at: datetime
    received_at: datetime
    battery: float | None = None
    battery_voltage: float | None = None
    rssi: int | None = None
    temperature: float | None = None
    door: DoorState | None = None
    bolt: BoltState | None = None

    @property
    def battery_is_low(self) -> bool:
        return self.battery is not None and self.battery <= LOW_BATTERY_PERCENT


class AckedReports(Struct, frozen=True, kw_only=True, gc=False):
    """Up to which report of which epoch everything is durably stored."""

    epoch: str
    seq: int


class StoredKey(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A physical key (a card, a fob) that a lock knows."""

    uuid: KeyUuid
    index_number: KeyIndex | None = None
    user_id: PersonId | None = None


class Resident(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Somebody who lives behind a lock."""

    user_id: str
    name: str
    email: str | None = None
    phone_number: str | None = None


class Lock(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock. ``time_zone`` is an IANA name: the zone of the door it sits in.

    ``version`` is the number of its newest event. ``session_count`` numbers its sessions:
    of two, the one with the higher number is newer; ``credential_count`` numbers its
    credentials. ``open_confirmation`` asks a guest for
    a second tap; ``heartbeat_seconds`` is set where the lock has a heartbeat of its own.
    """

    id: int
    uuid: str
    org_id: str
    owner_id: str | None = None
    name: str
    created_at: datetime
    time_zone: str = "UTC"
    serial_number: str | None = None
    vendor_name: str | None = None
    open_for_seconds: float = 5.0
    open_confirmation: bool = False
    heartbeat_seconds: float | None = None
    keys: list[StoredKey] = []
    residents: list[Resident] = []
    version: int = 0
    connection: Connection = Connection()
    telemetry: LatestReading | None = None
    acked: AckedReports | None = None
    session_count: int = 0
    credential_count: int = 0

    def acked_seq(self, epoch: str) -> int:
        """The last report of ``epoch`` that is stored; 0 where none is."""
        return self.acked.seq if self.acked is not None and self.acked.epoch == epoch else 0


class LivenessPolicy(Struct, frozen=True, kw_only=True):
    """How a dead connection is found out.

    ``offline_after_s`` is a published promise: a lock that dies silently is shown
    offline at most that much later. The connection is therefore cut a little
    earlier, so that the flag is written by then.
    """

    heartbeat_s: float
    offline_after_s: float

    def of(self, lock: Lock) -> "LivenessPolicy":
        """The policy for a lock: this one, or what follows from a heartbeat of the lock's own."""
        own = lock.heartbeat_seconds
        if own is None:
            return self
        return LivenessPolicy(heartbeat_s=own, offline_after_s=2 * own + _ANSWER_WITHIN_S)

    @property
    def silence_allowed_s(self) -> float:
        """After how many seconds without a sign of life the connection is cut."""
        return self.offline_after_s - min(0.5, self.offline_after_s / 10)

    def ping_at(self, now: float) -> float:
        """When to ping next, by a monotonic clock in seconds: a heartbeat from now, or just before.

        All locks of one heartbeat are pinged in so many rounds: their answers come together as
        well, and the event loop turns once for all of them.
        """
        step_s = self.heartbeat_s / _ROUNDS_OF_PINGS
        return (now + self.heartbeat_s) // step_s * step_s
