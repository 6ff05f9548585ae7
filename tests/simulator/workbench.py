"""A lock on the bench: its time stands still until a test moves it, and there is no socket."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.domain.protocol import (
    Batch,
    Command,
    Event,
    LockFrame,
    Report,
    Result,
    ServerFrame,
    Telemetry,
    Time,
    TimeRequest,
    Welcome,
    decode_server_frame,
    encode_frame,
)
from server.domain.times import wire_time
from simulator.clock import LockClock
from simulator.door import Door
from simulator.journal import Journal
from simulator.lock import Lock
from simulator.report_queue import CAPACITY

SERVER_START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


class Bench:
    """One lock, the server's clock, and all that the lock wanted to send."""

    def __init__(
        self, directory: Path, wall_time: datetime = SERVER_START, capacity: int = CAPACITY
    ) -> None:
        self.directory = directory
        self._capacity = capacity
        self.seconds = 1000.0
        self._wall_time = wall_time
        self.sent: list[LockFrame] = []
        self.jammed = False
        self.boot()

    def boot(self) -> None:
        """Cut the power and switch on again: only the journal is left."""
        self.sent = []
        self.journal = Journal(self.directory, self._capacity)
        self.clock = LockClock(lambda: self.seconds, lambda: self._wall_time)
        self.door = Door(jammed=self.jammed)
        self.lock = Lock(self.journal, self.clock, self.door)

    @property
    def server_now(self) -> datetime:
        return SERVER_START + timedelta(seconds=self.seconds)

    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.lock.tick()

    def connect(self, session: str = "s-1", acked_seq: int = 0, delay_s: float = 0.1) -> None:
        """Say hello and be welcomed; the answer takes ``delay_s`` to arrive."""
        self.lock.disconnected(None)
        self.lock.hello()
        welcome = Welcome(
            session_id=session,
            server_time=wire_time(self.server_now),
            heartbeat_seconds=20,
            offline_after_seconds=45,
            acked_seq=acked_seq,
        )
        self.seconds += delay_s
        self.receive(welcome)

    def receive(self, frame: ServerFrame) -> None:
        """Let the lock receive a frame as it comes off the wire."""
        self.lock.receive(decode_server_frame(encode_frame(frame)))
        self.drain()

    def drain(self) -> list[LockFrame]:
        """Take everything that the lock has to send; ``sent`` keeps it all."""
        taken: list[LockFrame] = []
        while (frame := self.lock.next_frame()) is not None:
            taken.append(frame)
        self.sent += taken
        return taken

    def answer_time(self, delay_s: float = 0.1) -> None:
        """Answer the lock's last question for the time."""
        self.drain()
        question = [frame for frame in self.sent if isinstance(frame, TimeRequest)][-1]
        answer = Time(t=question.t, server_time=wire_time(self.server_now))
        self.seconds += delay_s
        self.receive(answer)

    def command(
        self, id: str = "c-1", session: str = "s-1", life_s: float = 8, action: str = "open"
    ) -> Command:
        return Command(
            id=id,
            session_id=session,
            issued_at=wire_time(self.server_now),
            expires_at=wire_time(self.server_now + timedelta(seconds=life_s)),
            open_for_seconds=5,
            action=action,
        )

    def results(self, id: str = "c-1") -> list[tuple[str, str | None]]:
        """Status and reason of each result that was sent for a command."""
        self.drain()
        return [
            (frame.status.value, frame.reason)
            for frame in self.sent
            if isinstance(frame, Result) and frame.command_id == id
        ]

    def reports(self) -> list[Report]:
        """Each report that was sent, those in batches too, in order."""
        self.drain()
        found: list[Report] = []
        for frame in self.sent:
            if isinstance(frame, Batch):
                found += frame.reports
            elif isinstance(frame, Telemetry | Event):
                found.append(frame)
        return found

    @property
    def openings(self) -> list[str]:
        return [opening.command_id for opening in self.journal.door.read()]
