from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.protocol import Event, LockEvent, Report, Telemetry
from simulator.report_queue import ReportQueue

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def reading(seq: int) -> Telemetry:
    return Telemetry(seq=seq, at=NOW, battery=50)


def event(seq: int) -> Event:
    return Event(seq=seq, at=NOW, event=LockEvent.TAMPERED)


def fill(queue: ReportQueue, kinds: str) -> None:
    """Append a reading for each ``r`` and an event for each ``e``."""
    for kind in kinds:
        queue.append(reading(queue.next_seq) if kind == "r" else event(queue.next_seq))


def waiting(queue: ReportQueue) -> list[Report]:
    return queue.after(0, 100_000)


def numbers_kept(queue: ReportQueue) -> list[int]:
    """The numbers of reports that still have something to say."""
    return [r.seq for r in waiting(queue) if isinstance(r, Event) or r.battery is not None]


def test_numbers_grow_by_one_and_begin_at_one(tmp_path):
    queue = ReportQueue(tmp_path / "reports.jsonl")
    assert queue.last_seq == 0
    fill(queue, "rer")
    assert [report.seq for report in waiting(queue)] == [1, 2, 3]
    with pytest.raises(ValueError, match="does not follow"):
        queue.append(reading(9))


steps = st.lists(
    st.one_of(
        st.sampled_from(["reading", "event", "reboot"]),
        st.tuples(st.just("ack"), st.integers(0, 60)),
        st.tuples(st.just("torn write"), st.integers(1, 30)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(steps=steps)
def test_no_number_is_used_twice_and_no_unacknowledged_event_is_lost(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("queue") / "reports.jsonl"
    queue = ReportQueue(path, capacity=10)
    epoch = queue.epoch
    used: list[int] = []
    events: set[int] = set()
    acked = 0
    for step in steps:
        if step in ("reading", "event"):
            used.append(queue.next_seq)
            fill(queue, "r" if step == "reading" else "e")
            if step == "event":
                events.add(used[-1])
        elif step == "reboot":
            queue = ReportQueue(path, capacity=10)
        elif step[0] == "ack":
            acked = max(acked, min(step[1], queue.last_seq))
            queue.acknowledge(acked)
        else:
            torn = msgspec.json.encode(reading(queue.next_seq))[: step[1]]
            path.write_bytes(path.read_bytes() + torn)
            queue = ReportQueue(path, capacity=10)
    assert queue.epoch == epoch
    assert used == list(range(1, len(used) + 1))
    assert {seq for seq in events if seq > acked} <= set(numbers_kept(queue))


def test_a_full_queue_gives_up_its_oldest_reading_and_never_an_event(tmp_path):
    queue = ReportQueue(tmp_path / "reports.jsonl", capacity=4)
    fill(queue, "errer")
    assert numbers_kept(queue) == [1, 3, 4, 5]
    fill(queue, "eee")
    assert numbers_kept(queue) == [1, 4, 6, 7, 8]
    fill(queue, "r")
    assert numbers_kept(queue) == [1, 4, 6, 7, 8]
    assert queue.last_seq == 9
    assert queue.dropped == 4


def test_a_number_whose_report_was_given_up_is_sent_as_a_reading_without_values(tmp_path):
    queue = ReportQueue(tmp_path / "reports.jsonl", capacity=2)
    fill(queue, "erre")
    assert queue.after(0, 10) == [
        event(1),
        Telemetry(seq=2, at=NOW),
        Telemetry(seq=3, at=NOW),
        event(4),
    ]
    assert [report.seq for report in queue.after(0, 3)] == [1, 2, 3]
    assert [report.seq for report in queue.after(2, 1)] == [3]


def test_a_report_that_breaks_the_protocol_is_not_stored(tmp_path):
    path = tmp_path / "reports.jsonl"
    queue = ReportQueue(path)
    with pytest.raises(msgspec.ValidationError):
        queue.append(Telemetry(seq=1, at=NOW, battery=500))
    fill(queue, "r")
    assert ReportQueue(path).last_seq == 1


def test_the_file_does_not_grow_with_what_is_acknowledged(tmp_path):
    path = tmp_path / "reports.jsonl"
    queue = ReportQueue(path)
    for _ in range(2000):
        fill(queue, "r")
        queue.acknowledge(queue.last_seq)
    assert len(path.read_bytes().splitlines()) < 300
    assert ReportQueue(path).last_seq == 2000


@pytest.mark.expects_log("damaged")
def test_a_damaged_file_begins_a_new_epoch_rather_than_guess_a_number(tmp_path):
    path = tmp_path / "reports.jsonl"
    queue = ReportQueue(path)
    fill(queue, "rr")
    path.write_bytes(path.read_bytes().replace(b'"seq":2', b'"s\xffq":2'))
    after = ReportQueue(path)
    assert after.epoch != queue.epoch
    assert after.last_seq == 0


def test_a_new_epoch_numbers_what_waits_from_one(tmp_path):
    path = tmp_path / "reports.jsonl"
    queue = ReportQueue(path)
    fill(queue, "rrrer")
    queue.acknowledge(3)
    old_epoch = queue.epoch
    queue.begin_epoch()
    assert queue.epoch != old_epoch
    assert waiting(ReportQueue(path)) == [event(1), reading(2)]
