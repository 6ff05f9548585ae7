"""What reports cost without a server around them: decoded, and stored by ``insert_many`` alone."""

import time
from datetime import UTC, datetime

import msgspec

from bench.plan import Plan
from server.domain.protocol import Batch, Telemetry, decode_lock_frame, encode_frame
from server.domain.telemetry import AckLine, StoredReport
from server.storage import mongo

_BATCH = 400
_AT_ONCE = 2_000
_BATCHES = 200


async def measure_storage(uri: str, plan: Plan) -> dict[str, float]:
    """Reports a second: decoded and made ready for the queue, and inserted as fast as it goes."""
    decoded = _decoded_a_second()
    reports = plan.outage_reports * plan.reporting
    return {
        "decoded_and_queued_a_second": decoded,
        "insert_many_a_second": await _inserted_a_second(uri, max(reports, _AT_ONCE)),
    }


def _decoded_a_second() -> float:
    at = datetime.now(UTC)
    frame = encode_frame(Batch(reports=[_reading(seq, at) for seq in range(1, _BATCH + 1)]))
    began = time.process_time()
    for _ in range(_BATCHES):
        batch = decode_lock_frame(frame)
        assert isinstance(batch, Batch)
        acks = AckLine(0)
        for report in batch.reports:
            acks.received(report.seq)
        queued = [
            StoredReport(
                lock_id=1, org_id="o", epoch="e", received_at=at, report=report, fresh=False
            )
            for report in batch.reports
        ]
        assert len(queued) == _BATCH
    return _BATCHES * _BATCH / (time.process_time() - began)


async def _inserted_a_second(uri: str, reports: int) -> float:
    client = mongo.connect(uri, timeout_s=60)
    database = client["bench-alone"]
    await mongo.create_indexes(database)
    at = datetime.now(UTC)
    spent, seq = 0.0, 0
    for _ in range(0, reports, _AT_ONCE):
        documents: list[mongo.Document] = []
        for _ in range(_AT_ONCE):
            seq += 1
            reading = msgspec.to_builtins(_reading(seq, at), builtin_types=(datetime,))
            place = {"lockId": seq % 50, "epoch": "e", "seq": seq}
            documents.append(
                {**reading, **place, "_id": place, "orgId": "o" * 24, "receivedAt": at}
            )
        began = time.perf_counter()
        await database["reports"].insert_many(documents, ordered=False)
        spent += time.perf_counter() - began
    await client.drop_database("bench-alone")
    client.close()
    return seq / spent


def _reading(seq: int, at: datetime) -> Telemetry:
    return msgspec.convert(
        {
            "type": "telemetry",
            "seq": seq,
            "at": at,
            "battery": 87.5,
            "rssi": -61,
            "temperature": 21.5,
            "door": "closed",
            "bolt": "locked",
        },
        Telemetry,
    )
