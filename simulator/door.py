"""The door and its bolt, as a guest moves them: what happens when, without a clock.

Times are seconds of the lock's monotonic clock, handed in by the caller.
"""

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from server.domain.protocol import BoltState, DoorState, LockEvent


@dataclass(frozen=True)
class DoorTimes:
    """How long things take at this door, in seconds."""

    bolt_s: float = 0.8
    """The bolt's way from locked to unlocked."""
    guest_enters_after_s: float = 1.5
    """From the unlocked bolt to the hand that pushes the door."""
    door_stays_open_s: float = 3.0


@dataclass(order=True, frozen=True)
class Happening:
    """Something that will be seen at the door at ``due``."""

    due: float
    event: LockEvent = field(compare=False)
    command_id: str = field(compare=False)


class Door:
    """A door with a motor bolt that a guest walks through once it is open."""

    def __init__(self, times: DoorTimes = DoorTimes(), jammed: bool = False) -> None:
        self._times = times
        self._agenda: list[Happening] = []
        self.jammed = jammed
        self.door = DoorState.CLOSED
        self.bolt = BoltState.JAMMED if jammed else BoltState.LOCKED

    @property
    def is_moving(self) -> bool:
        """Whether the bolt is on its way to unlocked."""
        return any(happening.event is LockEvent.OPENED for happening in self._agenda)

    @property
    def next_due(self) -> float | None:
        return self._agenda[0].due if self._agenda else None

    def open(self, command_id: str, now: float, open_for_s: float) -> None:
        """Start the motor. The bolt locks again after ``open_for_s``, once the door is shut."""
        self._forget_relocking()
        opened_at = now + self._times.bolt_s
        self._expect(opened_at, LockEvent.OPENED, command_id)
        if self.door is DoorState.CLOSED and not self._guest_is_coming():
            enters_at = opened_at + self._times.guest_enters_after_s
            self._expect(enters_at, LockEvent.DOOR_OPENED, command_id)
            shut_at = enters_at + self._times.door_stays_open_s
            self._expect(shut_at, LockEvent.DOOR_CLOSED, command_id)
        all_done = max(happening.due for happening in self._agenda)
        self._expect(
            max(opened_at + open_for_s, all_done + self._times.bolt_s), LockEvent.LOCKED, command_id
        )

    def happened(self, now: float) -> list[Happening]:
        """Take what has happened by ``now``, in order."""
        past: list[Happening] = []
        while self._agenda and self._agenda[0].due <= now:
            happening = heappop(self._agenda)
            self._see(happening.event)
            past.append(happening)
        return past

    def _expect(self, due: float, event: LockEvent, command_id: str) -> None:
        heappush(self._agenda, Happening(due, event, command_id))

    def _guest_is_coming(self) -> bool:
        return any(happening.event is LockEvent.DOOR_OPENED for happening in self._agenda)

    def _forget_relocking(self) -> None:
        """A second opening while the bolt is still back keeps it back longer."""
        self._agenda = [h for h in self._agenda if h.event is not LockEvent.LOCKED]
        heapify(self._agenda)

    def _see(self, event: LockEvent) -> None:
        if event is LockEvent.OPENED:
            self.bolt = BoltState.UNLOCKED
        elif event is LockEvent.LOCKED:
            self.bolt = BoltState.LOCKED
        elif event is LockEvent.DOOR_OPENED:
            self.door = DoorState.OPEN
        elif event is LockEvent.DOOR_CLOSED:
            self.door = DoorState.CLOSED
