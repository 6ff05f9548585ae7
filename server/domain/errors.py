"""Everything that may go wrong on purpose, as one tree.

Every error carries ``reason``, a stable snake_case word that programs may
match on, and a sentence for a person. None of them knows about HTTP: which
status a reason becomes is decided in ``handlers/base.py`` alone.
"""

from datetime import datetime
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
    reason = "lock_not_found"


class TempKeyNotFound(NotFound):
    reason = "temp_key_not_found"


class DoorNotFound(NotFound):
    reason = "door_not_found"


class CommandNotFound(NotFound):
    reason = "command_not_found"


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
    reason = "key_revoked"

    def __init__(self) -> None:
        super().__init__("This key was revoked")


class KeyNotYetValid(KeyRefused):
    reason = "key_not_yet_valid"

    def __init__(self, valid_from: datetime) -> None:
        super().__init__("This key is not valid yet")
        self.valid_from = valid_from


class KeyExpired(KeyRefused):
    reason = "key_expired"

    def __init__(self, valid_until: datetime) -> None:
        super().__init__("This key has expired")
        self.valid_until = valid_until


class KeyUsedUp(KeyRefused):
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


class AlreadyExists(LatchkeyError):
    """Something with this id is there already."""

    reason = "already_exists"


class IllegalTransition(LatchkeyError):
    """An open command cannot go from its state to the one asked for."""

    reason = "illegal_transition"


class LockOffline(LatchkeyError):
    """No node holds a connection of this lock; nothing was sent."""

    reason = "lock_offline"

    def __init__(self) -> None:
        super().__init__("The lock is offline")


class ChannelClosed(LatchkeyError):
    """The connection is gone, or was cut because its lock does not read; nothing was written."""

    reason = "channel_closed"


class StorageUnavailable(LatchkeyError):
    """MongoDB did not answer within its time limit; nothing is known to have changed."""

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
