"""Open commands: the checks that only the lock can make, in the order that keeps a door shut.

A door never opens late and never twice, because the lock

1. answers an id that it knows with the earlier result, without acting;
2. refuses what is not for its present connection, past its expiry by the
   lock's own clock, or not to be judged for want of a clock;
3. stores the id on flash, and only then says ``accepted``;
4. looks at the time once more, since storing may have taken a while;
5. moves the bolt;
6. stores the result, and only then reports it.
"""

import logging
from collections.abc import Callable

from server.domain.protocol import Command, LockEvent, LockFrame, Result, ResultStatus
from server.domain.times import parse_wire_time
from simulator.clock import LockClock
from simulator.command_ring import RememberedCommand
from simulator.door import Door
from simulator.journal import Journal

_log = logging.getLogger(__name__)


class OpenCommands:
    """Decides about each command and remembers what became of it.

    ``send`` takes a result for the server, ``record`` an event that belongs to
    a command, and ``bolt_jams`` says whether the bolt is stuck this time.
    """

    def __init__(
        self,
        journal: Journal,
        clock: LockClock,
        door: Door,
        send: Callable[[LockFrame], None],
        record: Callable[[LockEvent, str], None],
        bolt_jams: Callable[[], bool],
    ) -> None:
        self._ring = journal.commands
        self._door_log = journal.door
        self._clock = clock
        self._door = door
        self._send = send
        self._record = record
        self._bolt_jams = bolt_jams

    def receive(self, command: Command, session_id: str | None) -> None:
        """Obey, refuse, or answer again. ``session_id`` is the present connection's."""
        earlier = self._ring.get(command.id)
        if earlier is not None:
            self._send(earlier.result())
            return
        reason = self._reason_to_refuse(command, session_id)
        if reason is not None:
            self._settle(command.id, ResultStatus.REFUSED, reason)
            return
        if not self._store(command.id, ResultStatus.ACCEPTED):
            self._settle(command.id, ResultStatus.REFUSED, "storage")
            return
        # From here on the id is on flash: this command can never act a second time.
        self._send_result(command.id)
        if self._door.jammed or self._bolt_jams():
            self._settle(command.id, ResultStatus.FAILED, "jammed")
            self._record(LockEvent.JAMMED, command.id)
            return
        self._move_bolt(command, session_id)

    def opened(self, command_id: str) -> None:
        """The bolt has finished its way."""
        self._settle(command_id, ResultStatus.OPENED)
        self._record(LockEvent.OPENED, command_id)

    def settle_interrupted(self) -> None:
        """After a boot: say what became of commands that a power cut interrupted.

        A real lock asks the bolt's sensor. The simulator's sensor is its door
        log: a motor that was started has finished its way.
        """
        for entry in self._ring.unfinished():
            if self._door_log.has(entry.id):
                self.opened(entry.id)
            else:
                self._settle(entry.id, ResultStatus.FAILED, "rebooted")

    def untold_results(self) -> list[Result]:
        """Final results that the server may not have: to be sent on each new connection."""
        return [entry.result() for entry in self._ring.untold()]

    def told(self, command_ids: list[str]) -> None:
        """The server has the final results of these commands."""
        for command_id in command_ids:
            try:
                self._ring.mark_told(command_id)
            except OSError as error:
                _log.warning("command %s will be reported again: %s", command_id, error)

    def _reason_to_refuse(self, command: Command, session_id: str | None) -> str | None:
        if command.action != "open":
            return "unknown_action"
        if command.session_id != session_id:
            return "stale"
        now = self._clock.server_time()
        if now is None:
            return "clock"
        try:
            expires_at = parse_wire_time(command.expires_at)
        except ValueError:
            return "invalid"
        if now >= expires_at:
            return "expired"
        if self._door.is_moving:
            return "busy"
        return None

    def _move_bolt(self, command: Command, session_id: str | None) -> None:
        # Flash may have taken seconds: look at the time again.
        reason = self._reason_to_refuse(command, session_id)
        now = self._clock.server_time()
        if reason is not None or now is None:
            self._settle(command.id, ResultStatus.REFUSED, reason or "clock")
            return
        boottime = self._clock.boottime()
        try:
            self._door_log.write(command, now, boottime)
        except OSError as error:
            _log.error("flash did not take the opening %s: %s", command.id, error)
            self._settle(command.id, ResultStatus.REFUSED, "storage")
            return
        self._door.open(command.id, boottime, command.open_for_seconds)

    def _settle(self, command_id: str, status: ResultStatus, reason: str | None = None) -> None:
        self._store(command_id, status, reason)
        self._send_result(command_id)

    def _send_result(self, command_id: str) -> None:
        entry = self._ring.get(command_id)
        if entry is not None:
            self._send(entry.result())

    def _store(self, command_id: str, status: ResultStatus, reason: str | None = None) -> bool:
        """Remember what is known about the command; whether it is durable."""
        entry = RememberedCommand(
            id=command_id, status=status, at=self._clock.timestamp(), reason=reason
        )
        try:
            self._ring.remember(entry)
        except OSError as error:
            _log.error("flash did not take command %s: %s", command_id, error)
            return False
        return True
