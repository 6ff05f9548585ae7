from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from simulator.clock import GOOD_FOR_S, MAX_ROUND_TRIP_S, LockClock

SERVER_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
delays = st.floats(min_value=0, max_value=30)


class World:
    """True time: seconds since the lock booted, and what the server's clock says then."""

    def __init__(self, seconds: float = 50.0, wall_is_off_by_s: float = 0.0) -> None:
        self.seconds = seconds
        self.clock = LockClock(
            lambda: self.seconds, lambda: self.server_time() + timedelta(seconds=wall_is_off_by_s)
        )

    def server_time(self) -> datetime:
        return SERVER_EPOCH + timedelta(seconds=self.seconds)

    def ask_and_hear(self, there_s: float, back_s: float) -> bool:
        asked_at = self.clock.ask()
        self.seconds += there_s
        answer = self.server_time()
        self.seconds += back_s
        return self.clock.answer(asked_at, answer)

    def error_s(self) -> float | None:
        estimate = self.clock.server_time()
        return None if estimate is None else (estimate - self.server_time()).total_seconds()


@given(
    boot=st.floats(min_value=0, max_value=1e8),
    rounds=st.lists(st.tuples(delays, delays, delays), min_size=1, max_size=10),
    wall=st.floats(min_value=-1e9, max_value=1e9),
)
def test_the_clock_is_at_most_two_seconds_ahead_and_never_behind(boot, rounds, wall):
    world = World(boot, wall)
    for there_s, back_s, later_s in rounds:
        world.ask_and_hear(there_s, back_s)
        world.seconds += later_s
        error_s = world.error_s()
        # Datetimes count microseconds: a rounding of two is not an error of the rule.
        assert error_s is None or -2e-6 <= error_s <= MAX_ROUND_TRIP_S + 2e-6


@given(there=delays, back=delays)
def test_an_answer_counts_only_where_it_took_at_most_two_seconds(there, back):
    world = World(seconds=0.0)
    taken = world.ask_and_hear(there, back)
    assert taken == (there + back <= MAX_ROUND_TRIP_S)
    assert (world.error_s() is not None) == taken


def test_an_answer_to_an_older_question_is_not_used():
    world = World()
    first = world.clock.ask()
    answer = world.server_time()
    world.seconds += 1
    world.clock.ask()
    assert not world.clock.answer(first, answer)
    assert world.clock.server_time() is None


def test_the_same_answer_is_not_used_twice():
    world = World()
    asked_at = world.clock.ask()
    assert world.clock.answer(asked_at, world.server_time())
    world.seconds += 1
    assert not world.clock.answer(asked_at, SERVER_EPOCH)


def test_an_answer_from_before_a_reconnect_is_not_used():
    world = World()
    asked_at = world.clock.ask()
    world.clock.start_over()
    assert not world.clock.answer(asked_at, world.server_time())


def test_a_good_answer_is_enough_for_an_hour_and_a_bad_one_is_asked_again_soon():
    world = World()
    world.ask_and_hear(3, 0)
    assert world.clock.next_question_at <= world.seconds
    world.ask_and_hear(0.1, 0.1)
    assert world.clock.next_question_at - world.seconds > 3500


def test_unanswered_questions_come_less_and_less_often():
    world = World()
    pauses = []
    for _ in range(8):
        world.seconds = world.clock.next_question_at
        world.clock.ask()
        pauses.append(world.clock.next_question_at - world.seconds)
    assert pauses == [2, 4, 8, 16, 32, 60, 60, 60]


def test_an_offset_that_was_not_renewed_is_no_longer_good_enough_to_open_a_door():
    world = World()
    world.ask_and_hear(0, 0)
    world.seconds += GOOD_FOR_S
    assert world.clock.server_time() is not None
    world.seconds += 1
    assert world.clock.server_time() is None
    assert world.clock.timestamp() == world.server_time()  # but still better than no idea


def test_only_timestamps_before_the_first_answer_show_the_locks_own_wrong_clock():
    world = World(wall_is_off_by_s=-86_400)
    assert world.server_time() - world.clock.timestamp() == timedelta(days=1)
    world.ask_and_hear(0, 0)
    assert world.clock.timestamp() == world.server_time()


@given(st.floats(min_value=0, max_value=1e8))
def test_timestamps_are_whole_milliseconds(seconds):
    assert World(seconds).clock.timestamp().microsecond % 1000 == 0
