"""The reports of one session: on their way into storage, and acknowledged when they are there."""

from datetime import datetime

from server.domain.errors import ChannelClosed
from server.domain.locks import Lock
from server.domain.protocol import Ack, Error, Hello, Report, encode_frame
from server.domain.telemetry import AckLine, FreshReports, StoredReport
from server.services.channel import Channel
from server.services.telemetry import TelemetryWriter


class SessionReports:
    """Numbers what comes in; the numbering begins with ``greeted``."""

    def __init__(self, channel: Channel, writer: TelemetryWriter) -> None:
        self.epoch = ""
        self._channel = channel
        self._writer = writer
        self._acks = AckLine(0)
        self._freshness = FreshReports(0)
        self._gap_told: int | None = None

    def greeted(self, hello: Hello, acked_seq: int) -> None:
        """Go on in the lock's epoch behind the report that was acknowledged last."""
        self.epoch = hello.epoch
        self._acks = AckLine(acked_seq)
        self._freshness = FreshReports(hello.last_seq)

    @property
    def acked_seq(self) -> int:
        """Up to which report of the epoch everything is stored."""
        return self._acks.acked_seq

    def is_fresh(self, seq: int) -> bool:
        """Whether the report ``seq``, which comes alone and just now, was made just now."""
        return self._freshness.is_fresh(seq)

    def received(self, reports: list[Report]) -> None:
        """Note that these reports came in.

        Raises:
            ProtocolError: too many reports wait behind a missing one.
        """
        for report in reports:
            self._acks.received(report.seq)
            self._freshness.received(report.seq)

    async def store(
        self, lock: Lock, reports: list[Report], received_at: datetime, *, fresh: bool
    ) -> None:
        """Have these reports stored; waits while too many others wait for that already."""
        stored = [
            StoredReport(
                lock_id=lock.id,
                org_id=lock.org_id,
                epoch=self.epoch,
                received_at=received_at,
                report=report,
                fresh=fresh,
            )
            for report in reports
        ]
        await self._writer.put(self, stored)

    def reports_stored(self, seqs: list[int]) -> int:
        """Note that these reports are durably stored; ``tell_acked`` says so to the lock.

        Returns:
            Up to which report of the epoch everything is stored.
        """
        for seq in seqs:
            self._acks.stored(seq)
        return self._acks.acked_seq

    def tell_acked(self) -> None:
        """Acknowledge what is stored, or say once which report holds that up."""
        self._send(Ack(seq=self._acks.acked_seq))
        missing = self._acks.missing_seq
        if missing is not None and missing != self._gap_told:
            self._gap_told = missing
            self._send(Error(code="gap", message="a report is missing", seq=missing))

    def _send(self, frame: Ack | Error) -> None:
        try:
            self._channel.send(encode_frame(frame))
        except ChannelClosed:
            return  # the lock hears it, or its equivalent, in its next session
