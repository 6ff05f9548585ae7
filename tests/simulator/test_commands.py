"""A door never opens late and never twice: the checks that only the lock can make."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.protocol import Ack, Command, Event, LockEvent
from simulator import flash
from tests.simulator.workbench import Bench


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_an_opening_is_accepted_then_done_then_told(bench):
    bench.connect()
    bench.receive(bench.command())
    assert bench.results() == [("accepted", None)]
    bench.pass_time(0.8)
    assert bench.results() == [("accepted", None), ("opened", None)]
    assert bench.openings == ["c-1"]


def test_the_door_log_says_when_the_bolt_moved_and_until_when_it_might(bench):
    bench.connect()
    command = bench.command()
    bench.receive(command)
    [opening] = bench.journal.door.read()
    assert opening.boottime == bench.seconds
    assert opening.expires_at == command.expires_at
    assert 0 <= (opening.server_time - bench.server_now).total_seconds() <= 2


def test_a_command_is_refused_past_its_expiry(bench):
    bench.connect()
    command = bench.command(life_s=8)
    bench.seconds += 20
    bench.receive(command)
    assert bench.results() == [("refused", "expired")]
    assert bench.openings == []


@settings(deadline=None, max_examples=200)
@given(
    welcome_took=st.floats(0, 5),
    life=st.floats(3, 15),
    held_back=st.floats(0, 40),
)
def test_no_command_opens_past_its_expiry_however_long_the_network_held_it_back(
    tmp_path_factory, welcome_took, life, held_back
):
    bench = Bench(tmp_path_factory.mktemp("lock"))
    bench.connect(delay_s=welcome_took)
    command = bench.command(life_s=life)
    bench.seconds += held_back
    bench.receive(command)
    if held_back > life:
        assert bench.openings == []
    if welcome_took <= 2 and held_back < life - 2.01:
        assert bench.openings == ["c-1"]


def test_a_command_of_an_earlier_connection_is_stale(bench):
    bench.connect("s-1")
    command = bench.command(session="s-1")
    bench.connect("s-2")
    bench.receive(command)
    assert bench.results() == [("refused", "stale")]


def test_a_command_without_a_connection_is_stale(bench):
    bench.connect()
    bench.lock.disconnected(None)
    bench.receive(bench.command())
    assert bench.openings == []


def test_a_lock_that_does_not_know_the_time_refuses(bench):
    bench.connect(delay_s=3)
    bench.receive(bench.command())
    assert bench.results() == [("refused", "clock")]


def test_a_lock_that_could_not_ask_the_time_for_hours_refuses(bench):
    bench.connect()
    bench.pass_time(7200)
    bench.receive(bench.command())
    assert bench.results() == [("refused", "clock")]


def test_a_jammed_bolt_fails_and_says_so(tmp_path):
    bench = Bench(tmp_path)
    bench.jammed = True
    bench.boot()
    bench.connect()
    bench.receive(bench.command())
    assert bench.results() == [("accepted", None), ("failed", "jammed")]
    assert bench.openings == []
    events = [r.event for r in bench.reports() if isinstance(r, Event)]
    assert events == [LockEvent.JAMMED]


def test_a_second_command_while_the_bolt_moves_is_refused(bench):
    bench.connect()
    bench.receive(bench.command("c-1"))
    bench.receive(bench.command("c-2"))
    assert bench.results("c-2") == [("refused", "busy")]
    assert bench.openings == ["c-1"]


def test_an_unknown_action_is_refused(bench):
    bench.connect()
    bench.receive(bench.command(action="explode"))
    assert bench.results() == [("refused", "unknown_action")]


def test_an_unreadable_expiry_is_refused(bench):
    bench.connect()
    command = bench.command()
    bench.receive(type(command)(**{**_fields(command), "expires_at": "soon"}))
    assert bench.results() == [("refused", "invalid")]


def _fields(command) -> dict:
    return {name: getattr(command, name) for name in command.__struct_fields__}


def test_the_same_command_a_hundred_times_opens_once_and_has_one_result(bench):
    bench.connect()
    command = bench.command()
    for number in range(100):
        if number == 50:
            bench.pass_time(1)
            bench.boot()
            bench.connect("s-2")
        bench.receive(command)
    assert bench.openings == ["c-1"]
    assert set(bench.results()) == {("opened", None)}  # all that was sent since the reboot


def test_a_refused_command_stays_refused_when_it_is_repeated(bench):
    bench.connect(delay_s=3)
    command = bench.command(life_s=15)
    bench.receive(command)
    bench.pass_time(0)
    bench.answer_time()
    bench.receive(command)
    assert bench.results() == [("refused", "clock")] * 2
    assert bench.openings == []


steps = st.lists(
    st.one_of(
        st.tuples(st.just("command"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.floats(0, 10)),
        st.sampled_from([("reconnect", 0), ("reboot", 0)]),
    ),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(steps=steps)
def test_whatever_is_repeated_in_whatever_order_no_id_opens_twice(tmp_path_factory, steps):
    bench = Bench(tmp_path_factory.mktemp("lock"))
    bench.connect("s-0")
    session, told = 0, {}
    for name, value in steps:
        if name == "command":
            bench.receive(bench.command(f"c-{value}", f"s-{session}"))
        elif name == "wait":
            bench.pass_time(value)
        else:
            if name == "reboot":
                bench.boot()
            session += 1
            bench.connect(f"s-{session}")
        for id in (f"c-{number}" for number in range(6)):
            finals = {result for result in bench.results(id) if result[0] != "accepted"}
            told.setdefault(id, set()).update(finals)
    assert len(bench.openings) == len(set(bench.openings))
    assert all(len(results) <= 1 for results in told.values())


class PowerCut(BaseException):
    """Nothing in the lock may catch this, as nothing can."""


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("write", range(4))
def test_a_power_cut_at_any_write_opens_at_most_once_and_settles(bench, monkeypatch, write, moment):
    bench.connect()
    command = bench.command()
    append = flash.append_line
    writes = iter(range(100))

    def cut_power(path, line):
        if next(writes) != write:
            append(path, line)
            return
        if moment == "after":
            append(path, line)
        raise PowerCut

    monkeypatch.setattr(flash, "append_line", cut_power)
    with pytest.raises(PowerCut):
        _obey(bench, command)
    monkeypatch.setattr(flash, "append_line", append)
    bench.boot()
    bench.connect("s-2")
    bench.receive(command)
    assert bench.openings.count("c-1") <= 1
    # The audit and the door agree.
    [(status, _)] = set(bench.results())
    assert (status == "opened") == (bench.openings == ["c-1"])


def _obey(bench: Bench, command: Command) -> None:
    bench.receive(command)
    bench.pass_time(0.8)


def failing(append: Callable[..., None], name: str) -> Callable[..., None]:
    def append_line(path, line):
        if path.name == name:
            raise OSError("no space left")
        append(path, line)

    return append_line


@pytest.mark.expects_log("flash did not take")
@pytest.mark.parametrize("full", ["commands.jsonl", "door.jsonl"])
def test_a_door_stays_shut_when_flash_cannot_remember_the_opening(bench, monkeypatch, full):
    bench.connect()
    with monkeypatch.context() as patch:
        patch.setattr(flash, "append_line", failing(flash.append_line, full))
        bench.receive(bench.command())
    assert bench.results()[-1] == ("refused", "storage")
    bench.receive(bench.command())  # the same id, now that there is space again
    assert bench.results()[-1] == ("refused", "storage")
    assert bench.openings == []


def test_a_command_that_expires_while_it_is_stored_does_not_open(bench, monkeypatch):
    append = flash.append_line

    def slow(path, line):
        bench.seconds += 10
        append(path, line)

    bench.connect()
    monkeypatch.setattr(flash, "append_line", slow)
    bench.receive(bench.command(life_s=8))
    assert bench.results() == [("accepted", None), ("refused", "expired")]
    assert bench.openings == []


def test_a_result_is_sent_again_until_it_has_certainly_arrived(bench):
    bench.connect()
    bench.receive(bench.command())
    bench.pass_time(0.8)
    bench.drain()
    bench.connect("s-2")
    bench.boot()
    bench.connect("s-3")
    assert bench.results() == [("opened", None)]
    bench.receive(Ack(seq=1))  # the event after the result was sent before this connection's result
    bench.lock.record_reading(battery=50)
    bench.drain()
    bench.receive(Ack(seq=2))  # but this report was sent after it
    bench.sent = []
    bench.connect("s-4", acked_seq=2)
    assert bench.results() == []
