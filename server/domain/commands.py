"""Open commands: what they are, and how one may become another.

The state machine of the lock protocol ("Commands"), as one table.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct, structs

from server.domain.errors import IllegalTransition
from server.domain.temp_keys import Claim, TempKey

LONGEST_LIFE = timedelta(seconds=15)
"""How long any open command may live ("Commands" of the lock protocol)."""

PAGE_GOOD_FOR = timedelta(seconds=30)
"""How long a page's tap is good for that cannot say when it was: browsers without script cannot."""

ANSWER_GRACE = timedelta(seconds=2)
"""How long after a command's expiry its result may still be on the way."""


class CommandState(StrEnum):
    """Where an open command is. Only the lock's own word makes one ``opened``."""

    QUEUED = "queued"
    SENT = "sent"
    ACCEPTED = "accepted"
    OPENED = "opened"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"
    UNCONFIRMED = "unconfirmed"


_OUTCOMES = frozenset({CommandState.OPENED, CommandState.REFUSED, CommandState.FAILED})

_NEXT: dict[CommandState, frozenset[CommandState]] = {
    # The record of the send may be lost (a server killed, a write that failed) while
    # the lock acts: so the lock's word counts for a queued command as well, and
    # silence about one that a session had in hand is ``unconfirmed``.
    CommandState.QUEUED: _OUTCOMES
    | {
        CommandState.SENT,
        CommandState.ACCEPTED,
        CommandState.EXPIRED,
        CommandState.UNCONFIRMED,
    },
    CommandState.SENT: _OUTCOMES | {CommandState.ACCEPTED, CommandState.UNCONFIRMED},
    CommandState.ACCEPTED: _OUTCOMES | {CommandState.UNCONFIRMED},
    # A late report of the lock still settles what silence left open.
    CommandState.UNCONFIRMED: _OUTCOMES,
    CommandState.OPENED: frozenset(),
    CommandState.REFUSED: frozenset(),
    CommandState.FAILED: frozenset(),
    CommandState.EXPIRED: frozenset(),
}

SETTLED = frozenset(state for state, following in _NEXT.items() if not following)
"""States that nothing follows."""

SHOWN_AS_FINAL = SETTLED | {CommandState.UNCONFIRMED}
"""States at which a waiting guest is told the outcome and the page stops asking."""

USE_GIVEN_BACK = frozenset({CommandState.EXPIRED, CommandState.REFUSED})
"""Proof that the door did not open: never sent, or not executed. Silence is no proof."""


class RefusalReason(StrEnum):
    """Why a command was ``refused`` or ``failed``, where the server has a word for it.

    Locks may send other words; they are kept and shown as they came.
    """

    BUSY = "busy"
    UNREACHABLE = "lock_unreachable"
    REVOKED = "revoked"
    EXPIRED = "expired"
    STALE = "stale"
    CLOCK = "clock"
    JAMMED = "jammed"


class Step(Struct, frozen=True, kw_only=True, rename="camel"):
    """One line of a command's history."""

    state: CommandState
    at: datetime


class OpenCommand(Struct, frozen=True, kw_only=True, rename="camel"):
    """One request to open one door, and what became of it.

    ``temp_key_uuid`` and ``door_id`` are absent where an operator opened the
    lock directly. ``offline`` is whether the lock was offline at the tap.
    ``session_id`` names the session that took the command in hand: from then on
    nobody but that session can say that it was never sent. ``use_number`` counts the uses
    of the key up to this one, which ``user_id`` took, where the key asks who that is. ``trace``
    is the place in the trace of its tap, where openings are traced.
    """

    id: str
    org_id: str
    lock_id: int
    requested_at: datetime
    expires_at: datetime
    temp_key_uuid: str | None = None
    door_id: int | None = None
    state: CommandState = CommandState.QUEUED
    reason: str | None = None
    offline: bool = False
    session_id: str | None = None
    user_id: str | None = None
    use_number: int | None = None
    trace: str | None = None
    history: list[Step] = []

    @property
    def answer_due_at(self) -> datetime:
        """When silence about a sent command becomes ``unconfirmed``."""
        return self.expires_at + ANSWER_GRACE


def predecessors(state: CommandState) -> frozenset[CommandState]:
    """The states from which a command may go to ``state``."""
    return frozenset(before for before, following in _NEXT.items() if state in following)


def advance(
    command: OpenCommand, state: CommandState, at: datetime, reason: str | None = None
) -> OpenCommand:
    """The command after one step of the state machine.

    Raises:
        IllegalTransition: ``state`` may not follow the command's own.
    """
    if state not in _NEXT[command.state]:
        raise IllegalTransition(f"{command.state} is not followed by {state}")
    return structs.replace(
        command,
        state=state,
        reason=reason if reason is not None else command.reason,
        history=[*command.history, Step(state=state, at=at)],
    )


def last_stage(command: OpenCommand) -> tuple[datetime, datetime]:
    """From when until when the command was on its way to the state it is in."""
    before, now = [command.requested_at, *(step.at for step in command.history)][-2:]
    return before, now


def new_attempt() -> str:
    """A random token that marks one tap, however often its request is repeated."""
    return secrets.token_urlsafe(16)


def command_id(temp_key_uuid: str, door_id: int, attempt: str) -> str:
    """The id of the command that this attempt makes: always the same for the same attempt.

    So a repeated request cannot make a second command in any store, nor at the
    lock. The key's uuid is a secret, so the id cannot be guessed from outside.
    """
    return digest_id(temp_key_uuid, str(door_id), attempt)


def digest_id(*parts: str) -> str:
    """An id that follows from these words: always the same for the same."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


def command_of(
    key: TempKey, claim: Claim, use_number: int | None = None, trace: str | None = None
) -> OpenCommand:
    """The command that a claim on a key stands for, as it is before anything is done with it."""
    return OpenCommand(
        id=claim.command_id,
        org_id=key.org_id,
        lock_id=claim.lock_id,
        requested_at=claim.at,
        expires_at=claim.expires_at,
        temp_key_uuid=key.uuid,
        door_id=claim.door_id,
        user_id=claim.user_id,
        use_number=use_number,
        trace=trace,
        history=[Step(state=CommandState.QUEUED, at=claim.at)],
    )
