"""The audit trail of what locks do by themselves: written down after the fact, never lost.

Whatever changes a lock's presence, takes a step of a command or stores an alarm leaves
a mark in the same write. Here those marks become events. So nothing waits for the audit
trail, and what a server that was killed did not get to, the next one does.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import structlog

from server import clock
from server.domain.commands import OpenCommand
from server.domain.errors import ChangedMeanwhile, StorageUnavailable
from server.domain.events import EventData
from server.domain.lock_news import News, news_of_command, news_of_presence, news_of_report
from server.domain.locks import Lock, PresenceChange
from server.domain.telemetry import StoredReport
from server.storage.command_store import CommandStore
from server.storage.event_log import EventLog
from server.storage.event_store import EventStore
from server.storage.lock_state_store import LockStateStore
from server.storage.mark_store import MarkStore
from server.storage.report_store import ReportStore

log = structlog.get_logger(__name__)

_LOOK_AGAIN_AFTER_S = 0.2
_WAIT_FOR_STORAGE_S = 1.0
_AT_ONCE = 200


class AuditTrail:
    """Turns marks into events, and gives every event its place in the order of all.

    Any number of nodes may do this at once: an event's id follows from what it tells,
    so that it is recorded once.
    """

    def __init__(
        self,
        events: EventStore,
        event_log: EventLog,
        states: LockStateStore,
        commands: CommandStore,
        reports: ReportStore,
        marks: MarkStore,
    ) -> None:
        self._events = events
        self._log = event_log
        self._states = states
        self._commands = commands
        self._reports = reports
        self._marks = marks

    async def run_forever(self) -> None:
        """Catch up again and again: run as a task of every node."""
        while True:
            try:
                more = await self.catch_up()
            except (StorageUnavailable, ChangedMeanwhile):
                await asyncio.sleep(_WAIT_FOR_STORAGE_S)
            except Exception:
                log.exception("events_not_recorded")  # nobody else would go on with it
                await asyncio.sleep(_WAIT_FOR_STORAGE_S)
            else:
                if not more:
                    await asyncio.sleep(_LOOK_AGAIN_AFTER_S)

    async def catch_up(self) -> bool:
        """Record what is not recorded yet, a bounded number at once.

        Returns:
            Whether there may be more.

        Raises:
            StorageUnavailable: MongoDB is away.
            ChangedMeanwhile: other nodes do the same, and were always faster.
        """
        if not await self._marks.any():
            return False
        presence = await self._states.untold_presence(_AT_ONCE)
        commands = await self._commands.untold(_AT_ONCE)
        reports = await self._reports.untold(_AT_ONCE)
        if presence or commands or reports:
            lock_ids = [one.lock_id for one in (*commands, *reports)]
            uuids = await self._states.uuids_of(lock_ids)
            news = _news(presence, commands, reports, uuids)
            await self._events.record_each_once(news, clock.now())
            await self._states.presence_told(presence)
            await self._commands.told(commands)
            await self._reports.told(reports)
        placed = await self._log.place(_AT_ONCE)
        return _AT_ONCE in (len(presence), len(commands), len(reports), placed)


def _news(
    presence: Iterable[tuple[Lock, Sequence[PresenceChange]]],
    commands: Iterable[OpenCommand],
    reports: Iterable[StoredReport],
    uuids: Mapping[int, str],
) -> News:
    """The events of all of these, in the order in which they happened.

    What one lock's presence or one command came to stays in its order, whatever a clock did.
    """
    stories = [
        [news_of_presence(lock.id, lock.uuid, change) for change in changes]
        for lock, changes in presence
    ]
    stories += [
        [news_of_command(command, uuids[command.lock_id])]
        for command in commands
        if command.lock_id in uuids  # or the lock is gone
    ]
    stories += [
        [news_of_report(stored, uuids[stored.lock_id])]
        for stored in reports
        if stored.lock_id in uuids
    ]
    timed: list[tuple[str, str, EventData]] = []
    for story in stories:
        latest = ""
        for news in story:
            for event_id, event in news.items():
                latest = max(latest, event.timestamp)
                timed.append((latest, event_id, event))
    timed.sort(key=lambda one: one[0])
    return {event_id: event for _, event_id, event in timed}
