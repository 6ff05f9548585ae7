"""The order of deliveries to one receiver: a lane for each lock, one event at a time in each.

Events are read in their one order for all, and lanes go on independently of each other.
What a node keeps in mind here it may lose at any time: ``cursor`` and the locks that lag
behind, both of which are stored, are enough to begin again without missing any event.
"""

from collections import deque
from collections.abc import Iterable

from server.domain.events import RecordedEvent


class Lanes:
    """Events that were read and are not dealt with yet, by lock.

    A lock that lags behind has no lane: its events are passed over here, and read again
    once the one that holds it up is dealt with.
    """

    def __init__(self, cursor: int, lagging: Iterable[int] = ()) -> None:
        """Begin after the position ``cursor``, with these locks lagging behind."""
        self.read_up_to = cursor
        self._lagging = set(lagging)
        self._waiting: dict[int, deque[RecordedEvent]] = {}
        self._idle: deque[int] = deque()

    def __len__(self) -> int:
        """How many events are not dealt with."""
        return sum(len(lane) for lane in self._waiting.values())

    def add(self, events: Iterable[RecordedEvent], read_up_to: int) -> None:
        """Take events that were read, in their order, all up to ``read_up_to``."""
        for event in events:
            if event.lock_id in self._lagging:
                continue
            if event.lock_id not in self._waiting:
                self._waiting[event.lock_id] = deque()
                self._idle.append(event.lock_id)
            self._waiting[event.lock_id].append(event)
        self.read_up_to = read_up_to

    def next(self) -> RecordedEvent | None:
        """The next event to send, in whose lane nothing is under way; its lane is busy then."""
        return self._waiting[self._idle.popleft()][0] if self._idle else None

    def dealt_with(self, event: RecordedEvent) -> None:
        """The event that ``next`` gave is delivered, or given up: the lane goes on."""
        lane = self._waiting[event.lock_id]
        lane.popleft()
        if lane:
            self._idle.append(event.lock_id)
        else:
            del self._waiting[event.lock_id]

    def fell_behind(self, event: RecordedEvent) -> None:
        """The event that ``next`` gave must wait, and with it all later ones of its lock."""
        del self._waiting[event.lock_id]
        self._lagging.add(event.lock_id)

    def caught_up(self, lock_id: int) -> None:
        """Of a lock that lagged behind everything is dealt with that was read so far."""
        self._lagging.discard(lock_id)

    @property
    def cursor(self) -> int:
        """Up to which position everything is dealt with, but for the locks that lag behind."""
        first = min((lane[0].position for lane in self._waiting.values()), default=None)
        return self.read_up_to if first is None else first - 1
