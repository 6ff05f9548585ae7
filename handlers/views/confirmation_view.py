"""The confirmation page: what became of one opening, in one sentence and the next step."""

from datetime import datetime, timedelta

from msgspec import Struct

from handlers.languages import Language
from handlers.views.confirmation_words import (
    FAILED,
    FAILED_BECAUSE,
    NOT_COUNTED,
    OFFLINE_MEANS,
    OFFLINE_MEANS_AT_LEAST,
    OFFLINE_WITHOUT_RECORD,
    OUTCOME_WORDS,
    REFUSED,
    REFUSED_BECAUSE,
    WAS_OFFLINE,
    Outcome,
)
from handlers.views.key_view import door_name
from handlers.views.lock_view import LockView, lock_view
from handlers.views.moments import Moment, moment_of, time_of_day, zone_of
from handlers.views.urls import confirmation_url, key_url, stream_url
from handlers.views.words import Words, filled
from server.domain.commands import (
    SHOWN_AS_FINAL,
    USE_GIVEN_BACK,
    CommandState,
    OpenCommand,
    RefusalReason,
)
from server.domain.locks import Lock
from server.domain.temp_keys import Door, TempKey

REFERENCE_LENGTH = 8
PUSH_SLACK = timedelta(seconds=10)
"""How long after the latch fell shut a page may still say "push it now"."""
OVERDUE = timedelta(seconds=10)
"""How long after its answer was due a command without an outcome is shown as unconfirmed,
even where nobody has written that down yet. No page waits for ever."""


class ConfirmationView(Struct, frozen=True, kw_only=True):
    """The confirmation page: what happened (``heading``, ``message``), and what next.

    Only ``Outcome.OPENED`` says that a door is open, and only the command's own
    record makes it that. ``final`` tells the page to stop asking.
    """

    outcome: Outcome
    final: bool
    heading: str
    message: str
    next_step: str
    offline_note: str | None
    offline_meaning: str | None
    use_note: str | None
    door_name: str
    lock: LockView | None
    lock_said: str | None
    """The lock's own word for a refusal or failure that the server has no sentence for."""
    reference: str | None
    requested_at: Moment | None
    page_url: str
    stream_url: str | None
    key_url: str


def confirmation_view(
    key: TempKey,
    door: Door,
    lock: Lock | None,
    command: OpenCommand | None,
    said_offline: bool,
    now: datetime,
    language: Language,
) -> ConfirmationView:
    """The confirmation page of one opening of ``door``, as far as it is known at ``now``.

    ``command`` is None where the link names no command of this key. ``said_offline`` is
    the link's own ``offline=true``, which the command's record may know better.
    """
    zone = zone_of(lock)
    was_offline = said_offline or (command is not None and command.offline)
    outcome = _outcome(command, lock, was_offline, now)
    words = _words_of_outcome(outcome, command, was_offline)
    expires_at = command.expires_at if command is not None else now
    values = {
        "door": door_name(door, lock, language),
        "expires_at": time_of_day(expires_at.astimezone(zone), language, seconds=True),
        "opened_at": moment_of(_opened_at(command) or now, zone, now, language).text,
        "seconds": _open_for_seconds(lock),
    }
    words = filled(words, language, **values)
    meaning = _offline_meaning(outcome, command) if was_offline else None
    return ConfirmationView(
        outcome=outcome,
        final=command is None or command.state in SHOWN_AS_FINAL or _is_overdue(command, now),
        heading=words.heading,
        message=words.message,
        next_step=words.next_step or "",
        offline_note=language.say(WAS_OFFLINE) if meaning is not None else None,
        offline_meaning=language.say(meaning, **values) if meaning is not None else None,
        use_note=language.say(NOT_COUNTED)
        if command is not None and command.state in USE_GIVEN_BACK and key.max_uses is not None
        else None,
        door_name=door_name(door, lock, language),
        lock=lock_view(lock, now, language) if lock is not None else None,
        lock_said=_lock_said(command),
        reference=command.id[:REFERENCE_LENGTH] if command is not None else None,
        requested_at=moment_of(command.requested_at, zone, now, language, seconds=True)
        if command is not None
        else None,
        page_url=language.link(
            confirmation_url(
                key.uuid, door.id, command.id if command is not None else None, said_offline
            )
        ),
        stream_url=language.link(stream_url(key.uuid, door.id, command.id, said_offline))
        if command is not None
        else None,
        key_url=language.link(key_url(key.uuid)),
    )


def _offline_meaning(outcome: Outcome, command: OpenCommand | None) -> str | None:
    """What it means that the lock was offline; None where it has answered, which says more."""
    if command is None:
        return OFFLINE_MEANS_AT_LEAST
    if outcome is Outcome.UNCONFIRMED and command.state is CommandState.QUEUED:
        return OFFLINE_MEANS_AT_LEAST  # nobody knows whether it was sent
    return OFFLINE_MEANS.get(outcome)


def _outcome(
    command: OpenCommand | None, lock: Lock | None, was_offline: bool, now: datetime
) -> Outcome:
    if command is None:
        return Outcome.OFFLINE if was_offline else Outcome.UNKNOWN
    if _is_overdue(command, now):
        return Outcome.UNCONFIRMED
    match command.state:
        case CommandState.QUEUED:
            online = lock is not None and lock.connection.online
            # Once a session has it in hand, only that one knows whether it was sent.
            in_hand = command.session_id is not None
            return Outcome.SENDING if online or in_hand else Outcome.WAITING
        case CommandState.OPENED if not _can_be_pushed(command, lock, now):
            return Outcome.OPENED_EARLIER
        case CommandState.REFUSED if command.reason == RefusalReason.BUSY:
            return Outcome.BUSY
        case CommandState.EXPIRED if was_offline:
            return Outcome.OFFLINE
        case state:
            return Outcome(state.value)


def _words_of_outcome(outcome: Outcome, command: OpenCommand | None, was_offline: bool) -> Words:
    if command is None:
        return OFFLINE_WITHOUT_RECORD if was_offline else OUTCOME_WORDS[Outcome.UNKNOWN]
    reason = _reason(command)
    if outcome is Outcome.REFUSED:
        return REFUSED if reason is None else REFUSED_BECAUSE.get(reason, REFUSED)
    if outcome is Outcome.FAILED:
        return FAILED if reason is None else FAILED_BECAUSE.get(reason, FAILED)
    return OUTCOME_WORDS[outcome]


def _reason(command: OpenCommand) -> RefusalReason | None:
    try:
        return RefusalReason(command.reason or "")
    except ValueError:
        return None


def _lock_said(command: OpenCommand | None) -> str | None:
    """The reason of a refusal or failure, where it is a word of the lock's own."""
    if command is None or command.reason is None or _reason(command) is not None:
        return None
    said = command.state in (CommandState.REFUSED, CommandState.FAILED)
    return command.reason if said else None


def _is_overdue(command: OpenCommand, now: datetime) -> bool:
    return command.state not in SHOWN_AS_FINAL and now >= command.answer_due_at + OVERDUE


def _opened_at(command: OpenCommand | None) -> datetime | None:
    """When the lock opened; a report that came late is about an opening in time."""
    if command is None or command.state is not CommandState.OPENED:
        return None
    written = [step.at for step in command.history if step.state is CommandState.OPENED]
    return min([*written, command.answer_due_at])


def _can_be_pushed(command: OpenCommand, lock: Lock | None, now: datetime) -> bool:
    opened_at = _opened_at(command)
    if opened_at is None:
        return False
    return now < opened_at + timedelta(seconds=_open_for_seconds(lock)) + PUSH_SLACK


def _open_for_seconds(lock: Lock | None) -> int:
    return max(1, round(lock.open_for_seconds)) if lock is not None else 1
