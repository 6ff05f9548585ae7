"""Reports of locks as they are kept, and the rule for acknowledging them."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from server.domain.errors import ProtocolError
from server.domain.locks import LatestReading
from server.domain.protocol import CloseCode, Report, Telemetry

MOST_AHEAD = 2000
"""How many reports a session may send past a missing one before its connection is closed."""


class StoredReport(Struct, frozen=True, kw_only=True):
    """One report, with what the server adds: whose it is and when it came in.

    ``fresh``: it was sent as soon as it was made, so its ``at`` was the lock's time just then.
    """

    lock_id: int
    org_id: str
    epoch: str
    received_at: datetime
    report: Report
    fresh: bool = False


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
    latest: LatestReading | None = None
    for stored in sorted(reports, key=lambda one: (epochs.index(one.epoch), one.report.seq)):
        reading = stored.report
        if not isinstance(reading, Telemetry):
            continue
        merged: dict[str, Any] = {} if latest is None else structs.asdict(latest)
        merged |= {
            name: value for name, value in structs.asdict(reading).items() if value is not None
        }
        merged |= {"epoch": stored.epoch, "received_at": stored.received_at}
        latest = LatestReading(**merged)
    return latest
