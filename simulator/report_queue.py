"""Reports that the server has not acknowledged yet, on flash.

One file, ``reports.jsonl``. Its first line names the numbering, and each line
after it is one report exactly as it goes on the wire:

    {"epoch":"6f0c2a51b7d84e03","lastSeq":41}
    {"type":"telemetry","seq":42,"at":"2026-11-23T08:00:00.000Z","battery":87}

The last number given out is the greater of ``lastSeq`` and the last line's
``seq``: numbers only ever grow, so one that was given out is never used again,
whatever was acknowledged, dropped or lost since. Acknowledged reports stay in
the file until it is next rewritten; ``welcome`` tells the lock what to skip.
"""

import logging
import secrets
from bisect import bisect_right
from operator import attrgetter
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from server.domain.protocol import Report, Telemetry, encode_frame
from simulator import flash

CAPACITY = 10_000
"""Reports that are kept; at one a minute, a week without a server."""

_SLACK_LINES = 256

_log = logging.getLogger(__name__)
_reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)
_by_seq = attrgetter("seq")


class _Numbering(Struct, frozen=True, rename="camel"):
    epoch: str
    last_seq: int


_numberings = msgspec.json.Decoder(_Numbering)


class ReportQueue:
    """The numbered reports of one lock, oldest first."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        """Read what is on flash; an empty or unreadable file begins a new epoch."""
        self._path = path
        self._capacity = capacity
        self._reports: list[Report] = []
        self.acked_seq = 0
        """The highest number that the server acknowledged since the lock booted."""
        self.dropped = 0
        """Readings that were given up because the queue was full."""
        try:
            self._load()
        except msgspec.MsgspecError as error:
            # Guessing the last number might use one twice. A new epoch cannot.
            _log.warning("the report queue %s is damaged and starts anew: %s", path, error)
            self._reports = []
            self.begin_epoch()

    def _load(self) -> None:
        flash.repair(self._path)
        lines = flash.read_lines(self._path)
        if not lines:
            self.begin_epoch()
            return
        numbering = _numberings.decode(lines[0])
        self._reports = [_reports.decode(line) for line in lines[1:]]
        seqs = [report.seq for report in self._reports]
        if seqs != sorted(set(seqs)):
            raise msgspec.ValidationError("the numbers do not grow")
        self._lines = len(lines)
        self.epoch = numbering.epoch
        self.last_seq = max([numbering.last_seq, *seqs[-1:]])

    def begin_epoch(self) -> None:
        """Give up the numbering: what waits is numbered anew, from 1, in a new epoch.

        A factory reset does this, and a lock whose flash turns out to be older
        than what the server has of it.

        Raises:
            OSError: flash did not take it, and the old numbering goes on.
        """
        epoch = secrets.token_hex(8)
        reports = [
            structs.replace(report, seq=number)
            for number, report in enumerate(self._reports, start=1)
        ]
        self._write(epoch, len(reports), reports)
        self.epoch, self.last_seq, self._reports = epoch, len(reports), reports
        self.acked_seq = 0

    @property
    def next_seq(self) -> int:
        """The number that the next report must carry."""
        return self.last_seq + 1

    def append(self, report: Report) -> None:
        """Store a report that carries ``next_seq``; it is durable on return.

        A full queue gives up its oldest reading. It never gives up an event:
        if it holds nothing else, it gives up the new reading, or grows by the
        new event.

        Raises:
            msgspec.ValidationError: it breaks a limit of the protocol.
            OSError: flash did not take it.
            After either, the number is still unused.
        """
        if report.seq != self.next_seq:
            raise ValueError(f"report {report.seq} does not follow {self.last_seq}")
        line = encode_frame(report).encode()
        _reports.decode(line)  # what could not be read after a reboot must not be stored
        flash.append_line(self._path, line)
        self._lines += 1
        self.last_seq = report.seq
        self._reports.append(report)
        if len(self._reports) > self._capacity:
            self._drop_oldest_reading()
        self._tidy()

    def acknowledge(self, seq: int) -> None:
        """Forget every report up to ``seq``: the server has it."""
        self.acked_seq = max(self.acked_seq, seq)
        del self._reports[: bisect_right(self._reports, seq, key=_by_seq)]
        self._tidy()

    def discard(self, seq: int) -> None:
        """Forget one report that the server will never take."""
        self._reports = [report for report in self._reports if report.seq != seq]
        self._rewrite()

    def after(self, seq: int, limit: int) -> list[Report]:
        """Up to ``limit`` waiting reports with numbers above ``seq``, in order, none missing.

        An acknowledgement is for all numbers up to one, so a number whose report
        was given up must still arrive: as a reading without values.
        """
        start = bisect_right(self._reports, seq, key=_by_seq)
        found: list[Report] = []
        for report in self._reports[start : start + limit]:
            while seq + 1 < report.seq and len(found) < limit:
                seq += 1
                found.append(Telemetry(seq=seq, at=report.at))
            if len(found) == limit:
                break
            found.append(report)
            seq = report.seq
        return found

    @property
    def oldest_seq(self) -> int:
        """The number of the oldest waiting report, or of the next one if none waits."""
        return self._reports[0].seq if self._reports else self.next_seq

    def __len__(self) -> int:
        return len(self._reports)

    def _drop_oldest_reading(self) -> None:
        for position, report in enumerate(self._reports):
            if isinstance(report, Telemetry):
                del self._reports[position]
                self.dropped += 1
                return

    def _tidy(self) -> None:
        """Rewrite the file once most of it is no longer needed."""
        if self._lines <= 2 * len(self._reports) + _SLACK_LINES:
            return
        try:
            self._rewrite()
        except OSError as error:
            _log.warning("%s stays long for now: %s", self._path, error)

    def _rewrite(self) -> None:
        self._write(self.epoch, self.last_seq, self._reports)

    def _write(self, epoch: str, last_seq: int, reports: list[Report]) -> None:
        numbering = msgspec.json.encode(_Numbering(epoch, last_seq))
        lines = [encode_frame(report).encode() for report in reports]
        flash.replace_file(self._path, [numbering, *lines])
        self._lines = 1 + len(reports)
