"""Everything that may go wrong on purpose, as one tree.

Every error carries ``reason``, a stable snake_case word that programs may
match on, and a sentence for a person. None of them knows about HTTP: which
status a reason becomes is decided in ``handlers/error_answers.py`` alone. Two branches have
modules of their own: ``refusals`` and ``database_errors``.
"""

from datetime import timedelta
from typing import ClassVar


class LatchkeyError(Exception):
    """The root of the tree; never raised itself."""

    reason: ClassVar[str]


class InvalidInput(LatchkeyError):
    """What was sent cannot be used; ``field`` says where (``doors[0].lockId``)."""

    reason = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field


class NotFound(LatchkeyError):
    """There is no such thing, or the caller may not learn that there is."""

    reason = "not_found"

    def __init__(self) -> None:
        super().__init__("The requested resource was not found")


class LockNotFound(NotFound):
    """No such lock, or not within the caller's reach."""

    reason = "lock_not_found"


class OrganizationNotFound(NotFound):
    """No such organisation."""

    reason = "organization_not_found"


class TempKeyNotFound(NotFound):
    """No such temp key, or not within the caller's reach."""

    reason = "temp_key_not_found"


class DoorNotFound(NotFound):
    """The temp key has no door with this number."""

    reason = "door_not_found"


class CommandNotFound(NotFound):
    """No such open command, or not within the caller's reach."""

    reason = "command_not_found"


class WebhookNotFound(NotFound):
    """The organisation has no such webhook."""

    reason = "webhook_not_found"


class DeliveryNotFound(NotFound):
    """The webhook has no such delivery, or its event is forgotten."""

    reason = "delivery_not_found"


class Unauthenticated(LatchkeyError):
    """No credential was given, or it is not (or no longer) good."""

    reason = "unauthenticated"


class Forbidden(LatchkeyError):
    """The caller is known, but may not do this."""

    reason = "forbidden"


class Overloaded(LatchkeyError):
    """This node takes no more connections of locks for ``retry_after``: it is full, or stops."""

    reason = "overloaded"

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("This server takes no more locks right now. Come back later")
        self.retry_after = retry_after


class WebhooksOff(LatchkeyError):
    """A signing secret is needed, but this server cannot keep any."""

    reason = "webhooks_off"

    def __init__(self) -> None:
        super().__init__("Webhooks are not set up on this server")


class MetricsOff(LatchkeyError):
    """This server gives its metrics to nobody, because it has no token for them."""

    reason = "metrics_off"

    def __init__(self) -> None:
        super().__init__("Metrics are not set up on this server")


class TooManyWebhooks(LatchkeyError):
    """The organisation has as many webhooks as it may."""

    reason = "too_many_webhooks"

    def __init__(self) -> None:
        super().__init__("There are as many webhooks as an organisation may have")


class DeliveryWaiting(LatchkeyError):
    """The event is not dealt with yet, or is being sent: it goes out by itself."""

    reason = "delivery_waiting"

    def __init__(self) -> None:
        super().__init__("This event waits for its next try, or is being sent")


class AlreadyExists(LatchkeyError):
    """Something with this id is there already."""

    reason = "already_exists"


class ChangedMeanwhile(LatchkeyError):
    """Somebody else changed it between the reading and the writing; nothing was written."""

    reason = "changed_meanwhile"


class IllegalTransition(LatchkeyError):
    """An open command cannot go from its state to the one asked for."""

    reason = "illegal_transition"


class LockOffline(LatchkeyError):
    """No node holds a connection of this lock; nothing was sent."""

    reason = "lock_offline"

    def __init__(self) -> None:
        super().__init__("The lock is offline")


class LockUnreachable(LatchkeyError):
    """The node that holds the lock, if one does, cannot be asked; nothing was sent to the lock."""

    reason = "lock_unreachable"

    def __init__(self) -> None:
        super().__init__("The lock cannot be reached right now. Please try again in a moment")


class LockBusy(LatchkeyError):
    """The lock is opening already; the second command was not sent."""

    reason = "lock_busy"

    def __init__(self) -> None:
        super().__init__("The lock is busy with another opening")


class LockTakesNoKeys(LatchkeyError):
    """The lock is connected, but has not said that it can store physical keys."""

    reason = "lock_takes_no_keys"

    def __init__(self) -> None:
        super().__init__("This lock cannot be told about physical keys")


class TooManyFollowers(LatchkeyError):
    """So many follow the fleet on this node already that it takes no more."""

    reason = "too_many_followers"

    def __init__(self) -> None:
        super().__init__("Too many follow the fleet right now. Please try again in a moment")


class ChannelClosed(LatchkeyError):
    """The connection is gone, or was cut because its lock does not read; nothing was written."""

    reason = "channel_closed"


class StorageUnavailable(LatchkeyError):
    """MongoDB did not answer in time, or let nobody in; nothing is known to have changed."""

    reason = "storage_unavailable"

    def __init__(self) -> None:
        super().__init__("The database does not answer right now. Please try again in a moment")


class ProtocolError(LatchkeyError):
    """A lock broke the protocol; its connection is closed with ``close_code``."""

    reason = "protocol_error"

    def __init__(self, close_code: int, code: str, message: str) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.code = code
