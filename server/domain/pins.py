"""PINs: which doors of a temp key they open, and what one looks like."""

import secrets
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from server.domain.errors import DoorNotFound
from server.domain.temp_keys import AccessMethod, Door, TempKey

PIN_DIGITS = 6

# The look-ahead keeps out a line break at the end, which Python's ``$`` lets pass.
PinText = Annotated[str, Meta(pattern=r"^[0-9]{4,8}(?!\n)$", min_length=4, max_length=8)]
"""What may be entered at a panel (HTTP contract, Part 1 section 3); ours have six digits."""


def new_pin(below: Callable[[int], int] = secrets.randbelow) -> str:
    """Six digits, each PIN as likely as any other.

    Args:
        below: a random whole number from 0 up to, but not, its argument, that nobody can guess.
    """
    return f"{below(10**PIN_DIGITS):0{PIN_DIGITS}d}"


def pin_doors(key: TempKey) -> list[Door]:
    """The doors of ``key`` that its PIN opens."""
    return [door for door in key.doors if door.access_method is not AccessMethod.KEY]


def pin_door(key: TempKey, lock_id: int) -> Door:
    """The first door of ``key`` at that lock that its PIN opens.

    Raises:
        DoorNotFound: the PIN opens none there.
    """
    for door in pin_doors(key):
        if door.lock_id == lock_id:
            return door
    raise DoorNotFound
