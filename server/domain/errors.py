"""Everything that may go wrong on purpose, as one tree.

Every error carries ``reason``, a stable snake_case word that programs may
match on, and a sentence for a person. None of them knows about HTTP: which
status a reason becomes is decided in ``handlers/error_answers.py`` alone.
"""

from datetime import datetime, timedelta
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


class GuestNotAllowed(Forbidden):
    """A personal key (``user-whitelist``) does not name this guest."""

    reason = "guest_not_allowed"


class KeyRefused(LatchkeyError):
    """A temp key must not open its door now."""


class KeyRevoked(KeyRefused):
    """The temp key was revoked."""

    reason = "key_revoked"

    def __init__(self) -> None:
        super().__init__("This key was revoked")


class KeyNotYetValid(KeyRefused):
    """The temp key's window has not begun."""

    reason = "key_not_yet_valid"

    def __init__(self, valid_from: datetime) -> None:
        super().__init__("This key is not valid yet")
        self.valid_from = valid_from


class KeyExpired(KeyRefused):
    """The temp key's window is over."""

    reason = "key_expired"

    def __init__(self, valid_until: datetime) -> None:
        super().__init__("This key has expired")
        self.valid_until = valid_until


class KeyUsedUp(KeyRefused):
    """The temp key has been used as often as it may be."""

    reason = "key_used_up"

    def __init__(self) -> None:
        super().__init__("This key has been used as often as it may be")


class KeyOutsideSchedule(KeyRefused):
    """The key's schedule is closed; ``next_opening`` is None where it never opens again."""

    reason = "key_outside_schedule"

    def __init__(self, next_opening: datetime | None = None) -> None:
        super().__init__("This key does not open the door at this time")
        self.next_opening = next_opening


class DoorNeedsCode(LatchkeyError):
    """The door opens by PIN at its panel, not from the guest page."""

    reason = "door_needs_code"

    def __init__(self) -> None:
        super().__init__("This door opens with the PIN at its entrance panel")


class SecondTapNeeded(LatchkeyError):
    """This lock asks its guests whether they are sure, and this one was not asked yet."""

    reason = "second_tap_needed"

    def __init__(self, door_id: int) -> None:
        super().__init__("This door opens when its guest confirms it")
        self.door_id = door_id


class TapTooLate(LatchkeyError):
    """The tap was on its way for longer than a command may live."""

    reason = "tap_too_late"

    def __init__(self) -> None:
        super().__init__("This tap came too late, and nothing was sent to the lock")


class InvalidPin(LatchkeyError):
    """A PIN does not open this door now; why not is nobody's business."""

    reason = "invalid_pin"

    def __init__(self) -> None:
        super().__init__("This PIN does not open this door now")


class TooManyTries(LatchkeyError):
    """There were too many wrong tries; none is looked at for ``retry_after``."""

    reason = "too_many_tries"

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("There were too many wrong tries. Please wait before the next one")
        self.retry_after = retry_after


class PinsOff(LatchkeyError):
    """A PIN is needed, but this server is not set up for PINs."""

    reason = "pins_off"

    def __init__(self) -> None:
        super().__init__("A PIN was needed but PINs are unconfigured")


class NoFreePin(LatchkeyError):
    """Every PIN that was drawn is in use at one of the locks."""

    reason = "no_free_pin"

    def __init__(self) -> None:
        super().__init__("There is no free PIN for these locks")


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


class AnotherNode(LatchkeyError):
    """Another node works on this MongoDB, and the two cannot hear of each other's locks."""

    reason = "another_node"

    def __init__(self) -> None:
        super().__init__(
            "Another Latchkey server works on this MongoDB database, and one of the two has no "
            "LATCHKEY_NATS_URL. Stop that one, give this one a database of its own "
            "(LATCHKEY_MONGODB_DATABASE), or set LATCHKEY_NATS_URL for both."
        )


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


class WrongSchema(LatchkeyError):
    """What is stored has the shape that an older or a newer server gave it; nothing was done."""

    reason = "wrong_schema"

    def __init__(self, stored: int, ours: int) -> None:
        what_to_do = (
            "Run `python -m server migrate`" if stored < ours else "Run a server that is as new"
        )
        super().__init__(
            f"The database has schema {stored}, and this server works with {ours}. {what_to_do}"
        )


class MigrationUnderWay(LatchkeyError):
    """Another migration of this database runs, or broke off less than half a minute ago."""

    reason = "migration_under_way"

    def __init__(self) -> None:
        super().__init__("Another migration runs. Look again in half a minute")


class BadArchive(LatchkeyError):
    """A file cannot be taken in; nothing of it was. Each problem names its line and its field."""

    reason = "bad_archive"

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))


class NotEmpty(LatchkeyError):
    """What should be taken in would mix with what is there; nothing was."""

    reason = "not_empty"


class SnapshotTooOld(LatchkeyError):
    """Reading took longer than MongoDB remembers how things were."""

    reason = "snapshot_too_old"

    def __init__(self) -> None:
        super().__init__(
            "It took longer than MongoDB keeps the past. Give it more time with its parameter "
            "minSnapshotHistoryWindowInSeconds (300 by default), or use mongodump"
        )


class ProtocolError(LatchkeyError):
    """A lock broke the protocol; its connection is closed with ``close_code``."""

    reason = "protocol_error"

    def __init__(self, close_code: int, code: str, message: str) -> None:
        super().__init__(message)
        self.close_code = close_code
        self.code = code
