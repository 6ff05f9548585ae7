"""A lock's side of the protocol, without a socket: frames in, frames out.

This is the module for a firmware engineer to read first. Nothing in it waits:
``receive`` takes a frame of the server, ``tick`` does what is due at the door,
``next_frame`` gives what there is to send, and ``on_change`` says that one of
them may have something new to say. ``connection`` adds the socket.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Unpack

from server.domain.errors import ProtocolError
from server.domain.protocol import (
    Ack,
    CloseCode,
    Command,
    Error,
    Event,
    Hello,
    LockEvent,
    LockFrame,
    ServerFrame,
    Telemetry,
    Time,
    TimeRequest,
    UnknownFrame,
    Welcome,
)
from server.domain.times import parse_wire_time
from simulator.clock import LockClock
from simulator.commands import OpenCommands
from simulator.door import Door, Happening
from simulator.journal import Journal
from simulator.outbox import Outbox
from simulator.sensors import Reading

FIRMWARE = "1.0.0"
MODEL = "latchkey-simulator"
CAPABILITIES = ["open"]

_PROTOCOL_BROKEN = (CloseCode.UNSUPPORTED_DATA, CloseCode.TOO_BIG, CloseCode.BROKEN_FRAME)

_SEND_AGAIN = ("storage_unavailable", "gap")
SEND_AGAIN_AFTER_S = 2.0

_log = logging.getLogger(__name__)


class NumberingLost(Exception):
    """The server has reports that this lock does not remember making.

    Its flash was put back to an older state. A new epoch has begun, and a new
    connection is needed to say so.
    """


class Lock:
    """One lock from boot to power cut. What must outlive that is in its journal."""

    def __init__(
        self,
        journal: Journal,
        clock: LockClock,
        door: Door,
        on_change: Callable[[], None] = lambda: None,
        bolt_jams: Callable[[], bool] = lambda: False,
    ) -> None:
        self.journal = journal
        self.clock = clock
        self.door = door
        self.session_id: str | None = None
        """The present connection's, from ``welcome`` until it ends."""
        self.welcome: Welcome | None = None
        self._on_change = on_change
        self._outbox = Outbox(journal.reports)
        self._rejected_seq: int | None = None
        self._send_again_at: float | None = None
        self._commands = OpenCommands(
            journal, clock, door, self._outbox.put, self._record_if_possible, bolt_jams
        )
        self._commands.settle_interrupted()

    # A connection: hello, then receive and next_frame, then disconnected.

    def hello(self) -> Hello:
        """The first frame of a new connection; to be sent at once, for the clock starts here."""
        self.clock.start_over()
        self.clock.ask()
        return Hello(
            firmware=FIRMWARE,
            model=MODEL,
            epoch=self.journal.reports.epoch,
            last_seq=self.journal.reports.last_seq,
            capabilities=CAPABILITIES,
        )

    def receive(self, frame: ServerFrame | UnknownFrame) -> None:
        """Take one frame of the server.

        Raises:
            NumberingLost: connect again, with the new epoch.
            ProtocolError: the server does not speak the protocol.
        """
        match frame:
            case Command():
                self._commands.receive(frame, self.session_id)
            case Ack():
                self._acknowledged(frame.seq)
            case Welcome():
                self._welcomed(frame)
            case Time():
                self.clock.answer(frame.t, _time(frame.server_time))
            case Error():
                self._told_off(frame)
            case UnknownFrame():
                pass  # a newer server may say more than this lock understands
        self._on_change()

    def next_frame(self) -> LockFrame | None:
        """Take the frame to send now, or None while there is nothing to say."""
        return self._outbox.next_frame()

    def disconnected(self, close_code: int | None) -> None:
        """The connection is gone; ``close_code`` is the server's, if it gave one."""
        if close_code in _PROTOCOL_BROKEN:
            self._give_up_rejected_report()
        self._rejected_seq = self._send_again_at = None
        self.session_id = self.welcome = None
        self._outbox.close()
        self._on_change()

    # The door and the sensors.

    @property
    def next_due(self) -> float | None:
        """When ``tick`` has something to do next, on the clock's ``boottime``."""
        due = [self.door.next_due, self._send_again_at]
        if self.session_id is not None:
            due.append(self.clock.next_question_at)
        return min((moment for moment in due if moment is not None), default=None)

    def tick(self) -> list[Happening]:
        """Do what is due now; what happened at the door."""
        now = self.clock.boottime()
        happenings = self.door.happened(now)
        for happening in happenings:
            if happening.event is LockEvent.OPENED:
                self._commands.opened(happening.command_id)
            else:
                self._record_if_possible(happening.event, happening.command_id)
        if self._send_again_at is not None and now >= self._send_again_at:
            self._send_again_at = None
            acked_seq = self.journal.reports.acked_seq
            self._outbox.send_again(acked_seq, self._commands.untold_results())
            self._on_change()
        if self.session_id is not None and now >= self.clock.next_question_at:
            self._outbox.put(TimeRequest(t=self.clock.ask()))
            self._on_change()
        return happenings

    def record_reading(self, **values: Unpack[Reading]) -> int:
        """Store a reading (``battery=87, bolt=BoltState.LOCKED``) to be sent; its number.

        Raises:
            OSError: flash did not take it.
        """
        reports = self.journal.reports
        reports.append(Telemetry(seq=reports.next_seq, at=self.clock.timestamp(), **values))
        self._on_change()
        return reports.last_seq

    def record_event(
        self, event: LockEvent, command_id: str | None = None, detail: str | None = None
    ) -> int:
        """Store something that happened, to be sent; its number.

        Raises:
            OSError: flash did not take it.
        """
        reports = self.journal.reports
        reports.append(
            Event(
                seq=reports.next_seq,
                at=self.clock.timestamp(),
                event=event,
                command_id=command_id,
                detail=detail,
            )
        )
        self._on_change()
        return reports.last_seq

    def _record_if_possible(self, event: LockEvent, command_id: str | None) -> None:
        try:
            self.record_event(event, command_id)
        except OSError as error:
            _log.error("flash did not take the event %s: %s", event.value, error)

    # Frames of the server.

    def _welcomed(self, welcome: Welcome) -> None:
        self.clock.answer(None, _time(welcome.server_time))
        reports = self.journal.reports
        if welcome.acked_seq > reports.last_seq:
            # The next reports would carry numbers that the server has already,
            # and it would drop them as repeated.
            reports.begin_epoch()
            raise NumberingLost(f"the server has reports up to {welcome.acked_seq}")
        self._acknowledged(welcome.acked_seq)
        self.session_id = welcome.session_id
        self.welcome = welcome
        self._outbox.open(welcome.acked_seq, self._commands.untold_results())

    def _acknowledged(self, seq: int) -> None:
        self.journal.reports.acknowledge(seq)
        self._commands.told(self._outbox.arrived(seq))
        if not len(self.journal.reports):
            self._outbox.careful = False

    def _told_off(self, error: Error) -> None:
        """What the server could not store, or is missing, is sent again a little later."""
        if error.code in _SEND_AGAIN:
            _log.info("the server answered %s: %s", error.code, error.message)
            self._send_again_at = self.clock.boottime() + SEND_AGAIN_AFTER_S
        else:
            _log.warning("the server answered %s: %s", error.code, error.message)
            self._rejected_seq = error.seq

    def _give_up_rejected_report(self) -> None:
        """The protocol says: do not send the same frame again. Find out which it was.

        The server's ``error`` may name the report. If not, reports go one at a
        time from now on, and the one that breaks the next connection was it.
        """
        outbox, reports = self._outbox, self.journal.reports
        seq = self._rejected_seq
        if seq is None and outbox.careful:
            seq = outbox.outstanding_seq
        if seq is None:
            outbox.careful = True
        else:
            _log.error("the server cannot take report %d; it is given up", seq)
            try:
                reports.discard(seq)
            except OSError as error:
                _log.warning("report %d comes back after a reboot: %s", seq, error)


def _time(text: str) -> datetime:
    try:
        return parse_wire_time(text)
    except ValueError as error:
        raise ProtocolError(
            CloseCode.BROKEN_FRAME, "invalid", f"not a time: {text[:40]!r}"
        ) from error
