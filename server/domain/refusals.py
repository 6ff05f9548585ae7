"""Why a door stays closed to whoever asks: the key, the tap, the PIN."""

from datetime import datetime, timedelta

from server.domain.errors import Forbidden, LatchkeyError


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
    """A guest has to be asked first: the lock wants it, or the tap may be an old one."""

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
