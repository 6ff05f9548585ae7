"""Reports of locks as they are kept, and the rule for acknowledging them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from server.domain.errors import ProtocolError
from server.domain.locks import AckedReports, LatestReading
from server.domain.protocol import CloseCode, Report, Telemetry

_MEASUREMENTS = tuple(
    name
    for name in LatestReading.__struct_fields__
    if name in Telemetry.__struct_fields__ and name not in ("seq", "at")
)
"""What a reading may carry."""

MOST_AHEAD = 2000
"""How many reports a session may send past a missing one before its connection is closed."""


class StoredReport(Struct, frozen=True, kw_only=True, gc=False):
    """One report, with what the server adds: whose it is and when it came in.

    ``fresh``: it was sent as soon as it was made, so its ``at`` was the lock's time just then.
    """

    lock_id: int
    org_id: str
    epoch: str
    received_at: datetime
    report: Report
    fresh: bool = False


class KnownOfLock(Struct, frozen=True, kw_only=True, gc=False):
    """What a lock's reports have told of it, to be kept with the lock."""

    seen_at: datetime
    acked: AckedReports | None = None
    clock_skew_ms: int | None = None
    reading: LatestReading | None = None

    def then(self, later: "KnownOfLock") -> "KnownOfLock":
        """What is known after ``later`` came to this."""
        skew_ms = later.clock_skew_ms
        return KnownOfLock(
            seen_at=later.seen_at,
            acked=later.acked or self.acked,
            clock_skew_ms=self.clock_skew_ms if skew_ms is None else skew_ms,
            reading=self.reading
            if later.reading is None
            else later_reading(self.reading, later.reading),
        )


class AckLine:
    """Up to which report a session may acknowledge.

    An ack of ``seq`` promises that everything up to it is stored. A lock sends its
    reports in order, beginning with the oldest that it still has: so the first report
    of a session may jump ahead (what is before it, the lock no longer has), and after
    that a missing number holds the line until it arrives.
    """

    def __init__(self, acked_seq: int) -> None:
        self.acked_seq = acked_seq
        self._started = False
        self._ahead: set[int] = set()

    @property
    def missing_seq(self) -> int | None:
        """The report that holds the line, if one does."""
        return self.acked_seq + 1 if self._ahead else None

    def received(self, seq: int) -> None:
        """Note that the report ``seq`` came in; the first one sets where the line begins.

        Raises:
            ProtocolError: too many reports wait behind a missing one.
        """
        if not self._started:
            self._started = True
            self.acked_seq = max(self.acked_seq, seq - 1)
        if len(self._ahead) >= MOST_AHEAD:
            raise ProtocolError(
                CloseCode.BROKEN_FRAME, "gap", f"report {self.missing_seq} never came"
            )

    def stored(self, seq: int) -> None:
        """Note that the report ``seq`` is durably stored."""
        if seq > self.acked_seq:
            self._ahead.add(seq)
        while self.acked_seq + 1 in self._ahead:
            self.acked_seq += 1
            self._ahead.discard(self.acked_seq)


class FreshReports:
    """Tells which reports of one connection were sent as soon as they were made.

    A report that is numbered after the ``lastSeq`` of the connection's ``hello`` was made
    while it was connected; one that is numbered after all that came before is not repeated;
    and one in a batch may have waited for the others.
    """

    def __init__(self, last_seq: int) -> None:
        self._last_seq = last_seq

    def is_fresh(self, seq: int) -> bool:
        """Whether the report ``seq`` is fresh, where it comes in a frame of its own now."""
        return seq > self._last_seq

    def received(self, seq: int) -> None:
        """Note that the report ``seq`` came in, alone or in a batch."""
        self._last_seq = max(self._last_seq, seq)


def known_of_locks(
    reports: Iterable[StoredReport], acked: Mapping[int, AckedReports], now: datetime
) -> dict[int, KnownOfLock]:
    """What these reports, and what is ``acked``, tell of each lock, by its id."""
    by_lock: defaultdict[int, list[StoredReport]] = defaultdict(list)
    for stored in reports:
        by_lock[stored.lock_id].append(stored)
    return {
        lock_id: KnownOfLock(
            seen_at=now,
            acked=acked.get(lock_id),
            clock_skew_ms=clock_skew_ms(by_lock[lock_id]),
            reading=latest_reading(by_lock[lock_id]),
        )
        for lock_id in {**by_lock, **acked}
    }


def clock_skew_ms(reports: Iterable[StoredReport]) -> int | None:
    """How far a lock's clock is ahead, by the newest of its reports that is fresh.

    Negative is behind, and what the frame took on its way counts as that.
    """
    fresh = [stored for stored in reports if stored.fresh]
    if not fresh:
        return None
    newest = max(fresh, key=lambda stored: stored.received_at)
    return round((newest.report.at - newest.received_at) / timedelta(milliseconds=1))


def latest_reading(reports: Sequence[StoredReport]) -> LatestReading | None:
    """What one lock's reports, taken in the order of their numbers, say about it at last.

    A reading may carry any of the measurements: a value stands until a later reading
    carries it again. An epoch that began later counts as later, whatever its numbers.
    """
    epochs = list(dict.fromkeys(stored.epoch for stored in reports))
    in_order = sorted(reports, key=lambda one: (epochs.index(one.epoch), one.report.seq))
    newest: StoredReport | None = None
    found: dict[str, Any] = {}
    # From the newest on, which mostly carries all there is.
    for stored in reversed(in_order):
        if not isinstance(stored.report, Telemetry):
            continue
        newest = newest or stored
        for name in _MEASUREMENTS:
            value = getattr(stored.report, name)
            if value is not None:
                found.setdefault(name, value)
        if len(found) == len(_MEASUREMENTS):
            break
    if newest is None:
        return None
    return LatestReading(
        seq=newest.report.seq,
        epoch=newest.epoch,
        at=newest.report.at,
        received_at=newest.received_at,
        **found,
    )


def later_reading(known: LatestReading | None, reading: LatestReading) -> LatestReading:
    """What is known of a lock after ``reading`` came to what was ``known``.

    A reading that is not newer changes nothing; one that is newer leaves standing what it does
    not carry itself.
    """
    if known is None:
        return reading
    if reading.epoch == known.epoch and reading.seq <= known.seq:
        return known
    carried = {name: getattr(reading, name) for name in _MEASUREMENTS}
    kept = {name: getattr(known, name) for name, value in carried.items() if value is None}
    return structs.replace(reading, **kept)
