"""Which reports may be acknowledged, and what a lock's readings say at last."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from server.domain.errors import ProtocolError
from server.domain.locks import AckedReports, LatestReading
from server.domain.protocol import BoltState, DoorState, Event, LockEvent, Report, Telemetry
from server.domain.telemetry import (
    MOST_AHEAD,
    AckLine,
    FreshReports,
    KnownOfLock,
    StoredReport,
    clock_skew_ms,
    latest_reading,
)

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def take(line: AckLine, *seqs: int) -> None:
    """Let reports come in, and be stored."""
    for seq in seqs:
        line.received(seq)
        line.stored(seq)


def stored(report: Report, epoch: str = "e") -> StoredReport:
    return StoredReport(lock_id=17, org_id="org", epoch=epoch, received_at=NOW, report=report)


def reading(seq: int, **values: object) -> Telemetry:
    return Telemetry(seq=seq, at=NOW + timedelta(seconds=seq), **values)  # type: ignore[arg-type]  # any


def tampered(seq: int) -> Event:
    return Event(seq=seq, at=NOW, event=LockEvent.TAMPERED)


# Acknowledging


def test_a_new_line_acknowledges_what_was_stored_in_earlier_sessions():
    line = AckLine(41)
    assert line.acked_seq == 41
    assert line.missing_seq is None


def test_reports_that_follow_are_acknowledged_when_they_are_stored():
    line = AckLine(41)
    take(line, 42, 43)
    assert line.acked_seq == 43


def test_a_report_that_came_in_is_not_acknowledged_before_it_is_stored():
    line = AckLine(41)
    line.received(42)
    assert line.acked_seq == 41


def test_the_first_report_of_a_session_may_jump_ahead():
    line = AckLine(41)
    take(line, 50)
    assert line.acked_seq == 50
    assert line.missing_seq is None


def test_after_the_first_report_a_missing_one_holds_the_line():
    line = AckLine(0)
    take(line, 1, 3, 4)
    assert line.acked_seq == 1
    assert line.missing_seq == 2


def test_the_missing_report_lets_the_line_go_on_to_the_end():
    line = AckLine(0)
    take(line, 1, 3, 4, 2)
    assert line.acked_seq == 4
    assert line.missing_seq is None


def test_reports_that_are_stored_out_of_order_are_acknowledged_in_order():
    line = AckLine(0)
    for seq in (1, 2, 3):
        line.received(seq)
    line.stored(3)
    assert line.acked_seq == 0
    line.stored(1)
    assert line.acked_seq == 1
    line.stored(2)
    assert line.acked_seq == 3


def test_a_report_that_is_sent_again_moves_nothing_back():
    line = AckLine(5)
    take(line, 3, 4)
    assert line.acked_seq == 5


def test_a_line_waits_behind_a_gap_only_so_long():
    line = AckLine(0)
    take(line, 1, *range(3, MOST_AHEAD + 3))
    with pytest.raises(ProtocolError, match="report 2 never came") as refused:
        line.received(MOST_AHEAD + 3)
    assert refused.value.close_code == 4003


orders = st.integers(1, 40).flatmap(
    lambda count: st.tuples(
        st.integers(0, 20),
        st.permutations(range(2, count + 1)),
        st.lists(st.integers(1, count), max_size=20),
        st.randoms(use_true_random=False),
    )
)


@given(orders)
def test_whatever_the_order_and_the_repeats_the_line_never_passes_a_hole_and_ends_at_the_end(
    order: tuple[int, list[int], list[int], object],
):
    before, rest, repeats, random = order
    arrivals = rest + repeats
    random.shuffle(arrivals)  # type: ignore[attr-defined]  # a Random
    line = AckLine(before)
    kept = set(range(1, before + 1))
    acked = before
    for seq in [before + 1, *(before + seq for seq in arrivals)]:
        take(line, seq)
        kept.add(seq)
        assert set(range(1, line.acked_seq + 1)) <= kept
        assert line.acked_seq >= acked
        acked = line.acked_seq
        assert line.missing_seq is None or line.missing_seq not in kept
    assert line.acked_seq == max(kept)
    assert line.missing_seq is None


@given(
    arrivals=st.lists(st.integers(1, 30), min_size=1, max_size=60),
    stores=st.randoms(use_true_random=False),
)
def test_nothing_is_acknowledged_that_is_not_stored_when_storing_lags_behind(
    arrivals: list[int], stores: object
):
    line = AckLine(arrivals[0] - 1)
    on_their_way: list[int] = []
    durable = set(range(1, arrivals[0]))
    for seq in arrivals:
        line.received(seq)
        on_their_way.append(seq)
        stores.shuffle(on_their_way)  # type: ignore[attr-defined]  # a Random
        if len(on_their_way) > 3:
            done = on_their_way.pop()
            durable.add(done)
            line.stored(done)
        assert set(range(1, line.acked_seq + 1)) <= durable


# The latest reading


def test_no_reports_say_nothing():
    assert latest_reading([]) is None


def test_events_measure_nothing():
    assert latest_reading([stored(tampered(1))]) is None


def test_one_reading_is_the_latest():
    said = latest_reading([stored(reading(7, battery=55, door=DoorState.CLOSED))])
    assert said == LatestReading(
        seq=7,
        epoch="e",
        at=NOW + timedelta(seconds=7),
        received_at=NOW,
        battery=55,
        door=DoorState.CLOSED,
    )


def test_a_value_stands_until_a_later_reading_carries_it_again():
    said = latest_reading(
        [
            stored(reading(1, battery=55, rssi=-60)),
            stored(tampered(2)),
            stored(reading(3, bolt=BoltState.JAMMED)),
            stored(reading(4, rssi=-70)),
        ]
    )
    assert said is not None
    assert (said.seq, said.battery, said.rssi, said.bolt) == (4, 55, -70, BoltState.JAMMED)


batteries = st.lists(st.none() | st.integers(0, 100), min_size=1, max_size=12)


@given(levels=batteries, order=st.randoms(use_true_random=False))
def test_readings_that_come_in_out_of_order_count_in_the_order_of_their_numbers(
    levels: list[int | None], order: object
):
    reports = [stored(reading(seq, battery=level)) for seq, level in enumerate(levels, start=1)]
    order.shuffle(reports)  # type: ignore[attr-defined]  # a Random
    measured = [level for level in levels if level is not None]
    said = latest_reading(reports)
    assert said is not None
    assert said.seq == len(levels)
    assert said.battery == (measured[-1] if measured else None)


def test_after_a_factory_reset_the_new_numbering_counts_although_it_begins_again():
    said = latest_reading(
        [
            stored(reading(900, battery=3, rssi=-60), epoch="old"),
            stored(reading(2, battery=98), epoch="new"),
            stored(reading(1, battery=99), epoch="new"),
        ]
    )
    assert said is not None
    assert (said.epoch, said.seq, said.battery, said.rssi) == ("new", 2, 98, -60)


# The lock's clock


def test_a_report_that_was_made_on_this_connection_is_fresh():
    assert FreshReports(last_seq=41).is_fresh(42)


def test_what_was_made_before_the_connection_or_is_repeated_is_not_fresh():
    reports = FreshReports(last_seq=41)
    assert not reports.is_fresh(41)
    for seq in (43, 42):
        reports.received(seq)
    assert not reports.is_fresh(43)
    assert reports.is_fresh(44)


def came(seq: int, ahead_s: float, *, fresh: bool = True) -> StoredReport:
    """A report of a lock whose clock is that much ahead, received a second after the last."""
    received_at = NOW + timedelta(seconds=seq)
    report = Telemetry(seq=seq, at=received_at + timedelta(seconds=ahead_s))
    return StoredReport(
        lock_id=17, org_id="org", epoch="e", received_at=received_at, report=report, fresh=fresh
    )


def test_the_newest_fresh_report_tells_how_far_a_clock_is_ahead():
    assert clock_skew_ms([came(2, 1.5), came(1, 60)]) == 1500
    assert clock_skew_ms([came(1, -2), came(2, 3600, fresh=False)]) == -2000


def test_without_a_fresh_report_nothing_is_known_of_the_clock():
    assert clock_skew_ms([]) is None
    assert clock_skew_ms([came(1, 5, fresh=False)]) is None


def test_a_clock_that_was_never_set_is_told_as_it_is():
    lost = structs.replace(came(1, 0), report=Telemetry(seq=1, at=datetime(1970, 1, 1, tzinfo=UTC)))
    assert clock_skew_ms([lost]) == -round(lost.received_at.timestamp() * 1000)


# What is known of a lock


def known(reading: LatestReading | None, **values: Any) -> KnownOfLock:
    return KnownOfLock(seen_at=NOW, reading=reading, **values)


def at_seq(seq: int, epoch: str = "e", **values: Any) -> LatestReading:
    return LatestReading(seq=seq, epoch=epoch, at=NOW, received_at=NOW, **values)


def test_a_later_reading_leaves_standing_what_it_does_not_carry():
    both = known(at_seq(1, battery=50, rssi=-60)).then(known(at_seq(2, rssi=-70)))
    assert both.reading == at_seq(2, battery=50, rssi=-70)


@pytest.mark.parametrize("seq", [1, 2])
def test_a_reading_that_is_not_newer_changes_nothing(seq: int):
    both = known(at_seq(2, battery=49)).then(known(at_seq(seq, battery=50)))
    assert both.reading == at_seq(2, battery=49)


def test_the_first_reading_of_another_epoch_is_newer():
    both = known(at_seq(900, "old", battery=5)).then(known(at_seq(1, "new", battery=98)))
    assert both.reading == at_seq(1, "new", battery=98)


def test_news_without_a_reading_leave_the_reading_and_the_skew():
    acked = AckedReports(epoch="e", seq=3)
    both = known(at_seq(2, battery=49), clock_skew_ms=7).then(known(None, acked=acked))
    assert both == known(at_seq(2, battery=49), clock_skew_ms=7, acked=acked)
