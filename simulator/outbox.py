"""What a lock sends next, one frame at a time.

Answers and results go first: a guest waits for them. Then the reports, in
order: what had piled up when the connection was welcomed goes in batches,
what comes later as it comes.
"""

from collections import deque

from server.domain.protocol import (
    MAX_BATCH_REPORTS,
    MAX_FRAME_BYTES,
    Batch,
    LockFrame,
    Report,
    Result,
    ResultStatus,
    encode_frame,
)
from simulator.report_queue import ReportQueue

_BATCH_BYTES = MAX_FRAME_BYTES - 1024
"""500 full reports are more than a frame may hold: a batch has two limits."""


class Outbox:
    """The order of a connection's outgoing frames; closed while there is none."""

    def __init__(self, reports: ReportQueue) -> None:
        self._reports = reports
        self._urgent: deque[LockFrame] = deque()
        self._is_open = False
        self._sent_seq = 0
        self._backlog_seq = 0
        self._results_sent: dict[str, int] = {}
        self.careful = False
        """One report at a time, each only once the one before it is acknowledged.

        So a lock finds out which of its reports the server cannot take.
        """

    def open(self, acked_seq: int, results: list[Result]) -> None:
        """The connection is welcome: send again all that may not have arrived on the last one."""
        self._is_open = True
        # Numbers before the oldest report that is left are gone: the server lets a
        # connection begin later than at ``acked_seq + 1``.
        self.send_again(max(acked_seq, self._reports.oldest_seq - 1), results)

    def send_again(self, acked_seq: int, results: list[Result]) -> None:
        """Send these results and every waiting report above ``acked_seq``, once more."""
        if not self._is_open:
            return
        self._sent_seq = acked_seq
        self._backlog_seq = self._reports.last_seq
        self._results_sent.clear()
        self._urgent.extend(results)

    def close(self) -> None:
        """The connection is gone, and with it whatever was only on its way."""
        self._is_open = False
        self._urgent.clear()
        self._results_sent.clear()

    def put(self, frame: LockFrame) -> None:
        """Send this as soon as possible; nothing happens while there is no connection.

        Then nothing is lost either: a result is on flash, and sent after the next welcome.
        """
        if self._is_open:
            self._urgent.append(frame)

    def next_frame(self) -> LockFrame | None:
        """Take the frame to send now, or None while there is nothing to say."""
        if self._urgent:
            frame = self._urgent.popleft()
            if isinstance(frame, Result) and frame.status is not ResultStatus.ACCEPTED:
                self._results_sent[frame.command_id] = self._sent_seq
            return frame
        if not self._is_open or (self.careful and self.outstanding_seq is not None):
            return None
        if self._sent_seq < self._backlog_seq and not self.careful:
            return self._next_batch()
        return self._next_report()

    @property
    def outstanding_seq(self) -> int | None:
        """The oldest report that was sent on this connection and is not acknowledged."""
        oldest = self._reports.oldest_seq
        return oldest if len(self._reports) and oldest <= self._sent_seq else None

    def arrived(self, acked_seq: int) -> list[str]:
        """The commands whose final results the server has, now that it acknowledged ``acked_seq``.

        A result has no acknowledgement of its own. But a connection keeps its
        order, so a report that was sent after a result arrived after it.
        """
        arrived = [id for id, sent_seq in self._results_sent.items() if sent_seq < acked_seq]
        for command_id in arrived:
            del self._results_sent[command_id]
        return arrived

    def _next_report(self) -> Report | None:
        reports = self._reports.after(self._sent_seq, 1)
        if not reports:
            return None
        self._sent_seq = reports[0].seq
        return reports[0]

    def _next_batch(self) -> LockFrame | None:
        batch: list[Report] = []
        size = 0
        for report in self._reports.after(self._sent_seq, MAX_BATCH_REPORTS):
            size += len(encode_frame(report).encode()) + 1
            if report.seq > self._backlog_seq or (batch and size > _BATCH_BYTES):
                break
            batch.append(report)
        if len(batch) < 2:
            return self._next_report()
        self._sent_seq = batch[-1].seq
        return Batch(reports=batch)
