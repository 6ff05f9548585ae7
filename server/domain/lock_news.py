"""What the audit trail tells of a lock's own doings: its presence, its openings, its alarms.

Each event has an id that follows from what it tells, so that it is recorded once
however often somebody tries.
"""

from typing import TypedDict

from server.domain.commands import CommandState, OpenCommand, Step
from server.domain.events import (
    DoorLeftOpen,
    EventData,
    LockBatteryLow,
    LockJammed,
    LockOffline,
    LockOnline,
    LockOpened,
    LockOpenExpired,
    LockOpenFailed,
    LockOpenRequested,
    LockTampered,
    TempKeyUsed,
)
from server.domain.locks import OfflineReason, PresenceChange
from server.domain.protocol import Event, LockEvent
from server.domain.telemetry import StoredReport
from server.domain.times import wire_time

TOLD = {
    LockEvent.LOW_BATTERY: LockBatteryLow,
    LockEvent.TAMPERED: LockTampered,
    LockEvent.JAMMED: LockJammed,
    LockEvent.DOOR_LEFT_OPEN: DoorLeftOpen,
}
"""Which of a lock's events the audit trail tells."""

News = dict[str, EventData]
"""Events by their ids."""

_FAILED = frozenset({CommandState.REFUSED, CommandState.FAILED, CommandState.UNCONFIRMED})


def requested_id(command_id: str) -> str:
    """The id of the event that tells of an open command's beginning."""
    return f"command/{command_id}/requested"


def news_of_command(command: OpenCommand, lock_uuid: str) -> News:
    """What an open command has come to so far.

    Where an operator opened the lock directly, that it was asked for is told already.
    """
    news: News = {}
    if command.temp_key_uuid is not None:
        news[requested_id(command.id)] = LockOpenRequested(
            lock_id=command.lock_id,
            uuid=lock_uuid,
            timestamp=wire_time(command.requested_at),
            request_id=command.id,
        )
    if command.temp_key_uuid is not None and command.use_number is not None:
        news[f"command/{command.id}/used"] = TempKeyUsed(
            lock_id=command.lock_id,
            lock_uuid=lock_uuid,
            timestamp=wire_time(command.requested_at),
            temp_key_uuid=command.temp_key_uuid,
            user_id=command.user_id,
            used_count=command.use_number,
        )
    for step in command.history:
        event = _outcome(command, step, lock_uuid)
        if event is not None:
            news[f"command/{command.id}/{step.state}"] = event
    return news


def news_of_presence(lock_id: int, lock_uuid: str, change: PresenceChange) -> News:
    """That a lock went online or offline."""
    at = wire_time(change.at)
    event: EventData
    if change.online:
        event = LockOnline(lock_id=lock_id, uuid=lock_uuid, timestamp=at)
    else:
        reason = change.reason or OfflineReason.CLOSED
        event = LockOffline(lock_id=lock_id, uuid=lock_uuid, timestamp=at, reason=reason.value)
    return {f"presence/{change.id}": event}


def news_of_report(stored: StoredReport, lock_uuid: str) -> News:
    """What a lock has reported, where it is an alarm.

    It happened when the lock says, but never after the server heard of it.
    """
    report = stored.report
    if not isinstance(report, Event) or report.event not in TOLD:
        return {}
    event_id = f"report/{stored.lock_id}/{stored.epoch}/{report.seq}"
    at = wire_time(min(report.at, stored.received_at))
    kind = TOLD[report.event]
    return {event_id: kind(lock_id=stored.lock_id, uuid=lock_uuid, timestamp=at)}


class _AboutCommand(TypedDict):
    lock_id: int
    uuid: str
    timestamp: str
    command_id: str
    temp_key_uuid: str | None


def _outcome(command: OpenCommand, step: Step, lock_uuid: str) -> EventData | None:
    about: _AboutCommand = {
        "lock_id": command.lock_id,
        "uuid": lock_uuid,
        "timestamp": wire_time(step.at),
        "command_id": command.id,
        "temp_key_uuid": command.temp_key_uuid,
    }
    if step.state is CommandState.OPENED:
        return LockOpened(**about)
    if step.state is CommandState.EXPIRED:
        return LockOpenExpired(**about)
    if step.state in _FAILED:
        reason = step.state.value
        if step is command.history[-1] and command.reason is not None:
            reason = command.reason
        return LockOpenFailed(**about, reason=reason)
    return None
