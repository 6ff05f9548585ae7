"""The lock's side of the protocol, without a socket."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.errors import ProtocolError
from server.domain.protocol import (
    MAX_FRAME_BYTES,
    Ack,
    Batch,
    Error,
    Event,
    LockEvent,
    Result,
    Telemetry,
    TimeRequest,
    UnknownFrame,
    Welcome,
    encode_frame,
)
from simulator.lock import SEND_AGAIN_AFTER_S, NumberingLost
from tests.simulator.workbench import Bench


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def numbers(bench: Bench) -> list[int]:
    return [report.seq for report in bench.reports()]


def test_hello_names_the_numbering_and_the_last_number(bench):
    bench.lock.record_reading(battery=50)
    hello = bench.lock.hello()
    assert hello.epoch == bench.journal.reports.epoch
    assert hello.last_seq == 1
    bench.boot()
    assert bench.lock.hello() == hello


def test_nothing_but_hello_is_said_before_the_welcome(bench):
    bench.lock.record_reading(battery=50)
    bench.lock.hello()
    assert bench.drain() == []


def test_what_was_buffered_goes_in_batches_and_what_comes_later_by_itself(bench):
    for _ in range(1201):
        bench.lock.record_reading(rssi=-60)
    bench.connect()
    assert [len(f.reports) if isinstance(f, Batch) else 1 for f in bench.sent] == [500, 500, 201]
    bench.lock.record_reading(rssi=-61)
    assert [type(frame) for frame in bench.drain()] == [Telemetry]
    assert numbers(bench) == list(range(1, 1203))


def test_a_batch_never_exceeds_the_size_of_a_frame(bench):
    for _ in range(600):
        bench.lock.record_event(LockEvent.TAMPERED, detail="\N{EURO SIGN}" * 500)
    bench.connect()
    assert max(len(encode_frame(frame).encode()) for frame in bench.sent) <= MAX_FRAME_BYTES
    assert numbers(bench) == list(range(1, 601))


@settings(deadline=None, max_examples=50)
@given(
    made=st.integers(0, 40),
    acked=st.integers(0, 40),
    rebooted=st.booleans(),
)
def test_after_a_reconnect_everything_from_the_first_unacknowledged_report_is_sent_again(
    tmp_path_factory, made, acked, rebooted
):
    acked = min(acked, made)
    bench = Bench(tmp_path_factory.mktemp("lock"))
    bench.connect()
    for _ in range(made):
        bench.lock.record_reading(battery=50)
    assert numbers(bench) == list(range(1, made + 1))
    if rebooted:
        bench.boot()
    bench.sent = []
    bench.connect("s-2", acked_seq=acked)
    assert numbers(bench) == list(range(acked + 1, made + 1))


def test_acknowledged_reports_are_forgotten(bench):
    bench.connect()
    for _ in range(3):
        bench.lock.record_reading(battery=50)
    bench.receive(Ack(seq=2))
    assert len(bench.journal.reports) == 1


def test_a_server_that_could_not_store_gets_it_again_a_little_later(bench):
    bench.connect()
    bench.receive(bench.command())
    bench.pass_time(0.8)
    bench.drain()
    bench.sent = []
    bench.receive(Error(code="storage_unavailable", message="send it again"))
    assert bench.sent == []
    bench.pass_time(SEND_AGAIN_AFTER_S)
    assert numbers(bench)[0] == 1
    assert bench.results() == [("opened", None)]


def test_results_go_before_a_backlog_of_reports(bench):
    bench.connect()
    for _ in range(5):
        bench.lock.record_reading(battery=50)
    bench.lock.receive(bench.command())
    assert isinstance(bench.drain()[0], Result)


def test_flash_that_is_older_than_the_server_knows_begins_a_new_epoch(bench):
    bench.lock.record_reading(battery=50)
    epoch = bench.journal.reports.epoch
    with pytest.raises(NumberingLost):
        bench.connect(acked_seq=7)
    assert bench.lock.hello().epoch != epoch
    bench.connect()
    assert numbers(bench) == [1]


@pytest.mark.expects_log("cannot take report 2")
@pytest.mark.expects_log("the server answered invalid")
def test_a_report_that_the_server_names_as_broken_is_not_sent_again(bench):
    bench.connect()
    for _ in range(3):
        bench.lock.record_reading(battery=50)
    bench.receive(Error(code="invalid", message="no", seq=2))
    bench.lock.disconnected(4003)
    bench.sent = []
    bench.connect("s-2")
    assert bench.reports()[1] == Telemetry(seq=2, at=bench.reports()[2].at)  # nothing of it left


@pytest.mark.expects_log("cannot take report 2")
def test_a_broken_report_that_the_server_does_not_name_is_found_one_at_a_time(bench):
    bench.connect()
    for _ in range(3):
        bench.lock.record_reading(battery=50)
    bench.drain()
    bench.lock.disconnected(4003)  # one of the three, but which?
    bench.connect("s-2")
    bench.sent = []
    bench.connect("s-3")
    assert numbers(bench) == [1]
    bench.receive(Ack(seq=1))
    assert numbers(bench) == [1, 2]
    bench.lock.disconnected(4003)  # it was the second
    bench.connect("s-4", acked_seq=1)
    bench.receive(Ack(seq=2))
    bench.receive(Ack(seq=3))
    bench.sent = []
    bench.lock.record_reading(battery=49)
    bench.lock.record_reading(battery=49)
    assert numbers(bench) == [4, 5]


def test_numbers_whose_reports_were_given_up_do_not_hold_up_the_acknowledgement(tmp_path):
    bench = Bench(tmp_path, capacity=3)
    bench.lock.record_event(LockEvent.TAMPERED)
    for _ in range(5):
        bench.lock.record_reading(battery=50)
    bench.connect()
    assert numbers(bench) == [1, 2, 3, 4, 5, 6]
    assert [r.battery for r in bench.reports()[1:] if isinstance(r, Telemetry)] == [
        None,
        None,
        None,
        50,
        50,
    ]


def test_a_connection_begins_with_the_oldest_report_that_is_left(tmp_path):
    bench = Bench(tmp_path, capacity=3)
    for _ in range(10):
        bench.lock.record_reading(battery=50)
    bench.connect(acked_seq=2)
    assert numbers(bench) == [8, 9, 10]


@pytest.mark.expects_log("the server answered unhappy")
def test_a_close_that_is_not_about_a_frame_loses_no_report(bench):
    bench.connect()
    bench.lock.record_reading(battery=50)
    bench.receive(Error(code="unhappy", message="no", seq=1))
    bench.lock.disconnected(4009)
    bench.sent = []
    bench.connect("s-2")
    assert [r.battery for r in bench.reports() if isinstance(r, Telemetry)] == [50]


def test_the_lock_asks_for_the_time_once_an_hour(bench):
    bench.connect()
    bench.pass_time(3500)
    assert bench.drain() == []
    bench.pass_time(100)
    assert isinstance(bench.drain()[0], TimeRequest)
    bench.answer_time()
    bench.pass_time(3500)
    assert bench.drain() == []


def test_a_welcome_that_took_too_long_makes_the_lock_ask_until_an_answer_is_quick(bench):
    bench.connect(delay_s=2.5)
    assert bench.clock.server_time() is None
    bench.pass_time(0)
    bench.answer_time(delay_s=3)
    assert bench.clock.server_time() is None
    bench.pass_time(60)
    bench.answer_time(delay_s=0.1)
    assert bench.clock.server_time() is not None


def test_what_a_newer_server_says_beyond_this_lock_is_passed_over(bench):
    bench.connect()
    bench.lock.receive(UnknownFrame("firmwareUpdate"))
    assert bench.drain() == []


def test_a_server_whose_time_cannot_be_read_is_not_understood(bench):
    bench.lock.hello()
    with pytest.raises(ProtocolError):
        bench.receive(
            Welcome(
                session_id="s-1",
                server_time="noon",
                heartbeat_seconds=20,
                offline_after_seconds=45,
                acked_seq=0,
            )
        )


def test_reports_carry_server_time_however_wrong_the_locks_own_clock_is(tmp_path):
    bench = Bench(tmp_path, wall_time=datetime(1970, 1, 1, tzinfo=UTC))
    bench.lock.record_reading(battery=50)
    bench.connect()
    bench.lock.record_reading(battery=50)
    before, after = bench.reports()
    assert before.at.year == 1970
    assert abs((after.at - bench.server_now).total_seconds()) <= 2


def test_events_of_an_opening_carry_its_command(bench):
    bench.connect()
    bench.receive(bench.command("c-7"))
    for _ in range(100):
        bench.pass_time(0.2)
    events = [r for r in bench.reports() if isinstance(r, Event)]
    assert [event.event.value for event in events] == [
        "opened",
        "doorOpened",
        "doorClosed",
        "locked",
    ]
    assert {event.command_id for event in events} == {"c-7"}
