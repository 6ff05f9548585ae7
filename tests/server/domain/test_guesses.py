"""When wrong tries bring about a lock-out, for how long, and when that is forgotten."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.guesses import (
    PINS_OF_LOCK,
    Tries,
    forgotten_at,
    give_back,
    locked_until,
    take_try,
)
from server.domain.refusals import TooManyTries

NOW = datetime(2026, 11, 22, 21, 14, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
MS = timedelta(milliseconds=1)


def after(*instants: datetime, tries: Tries | None = None) -> Tries:
    """The tries after wrong ones at these instants."""
    tries = tries or Tries()
    for at in instants:
        tries = take_try(tries, PINS_OF_LOCK, at)
    return tries


def five(at: datetime) -> list[datetime]:
    return [at + n * SECOND for n in range(5)]


def is_locked(tries: Tries, now: datetime) -> bool:
    try:
        take_try(tries, PINS_OF_LOCK, now)
    except TooManyTries:
        return True
    return False


def test_four_wrong_tries_within_a_minute_lock_nothing():
    tries = after(*five(NOW)[:4])
    assert locked_until(tries, PINS_OF_LOCK) is None
    assert not is_locked(tries, NOW + 5 * SECOND)


def test_the_fifth_within_a_minute_locks_for_a_minute():
    tries = after(*five(NOW))
    assert locked_until(tries, PINS_OF_LOCK) == NOW + 4 * SECOND + MINUTE
    assert is_locked(tries, NOW + 4 * SECOND)
    assert is_locked(tries, NOW + 4 * SECOND + MINUTE - MS)
    assert not is_locked(tries, NOW + 4 * SECOND + MINUTE)


def test_who_is_locked_out_is_told_for_how_long():
    tries = after(*five(NOW))
    with pytest.raises(TooManyTries) as refused:
        take_try(tries, PINS_OF_LOCK, NOW + 14 * SECOND)
    assert refused.value.retry_after == 50 * SECOND


def test_five_tries_that_take_a_minute_lock_nothing():
    instants = [NOW, *(NOW + MINUTE - n * SECOND for n in (3, 2, 1, 0))]
    assert locked_until(after(*instants), PINS_OF_LOCK) is None


def test_tries_while_locked_out_do_not_prolong_it():
    tries = after(*five(NOW))
    for n in range(5, 64):
        assert is_locked(tries, NOW + n * SECOND)
    assert not is_locked(tries, NOW + 64 * SECOND)


def test_each_lockout_is_twice_as_long_up_to_a_quarter_of_an_hour():
    tries, now, lengths = Tries(), NOW, list[timedelta]()
    for _ in range(7):
        tries = after(*[now] * 5, tries=tries)
        until = locked_until(tries, PINS_OF_LOCK)
        assert until is not None
        lengths.append(until - now)
        now = until
    assert lengths == [n * MINUTE for n in (1, 2, 4, 8, 15, 15, 15)]


def test_an_hour_after_a_lockout_the_next_one_is_short_again():
    tries = after(*[NOW] * 5)
    tries = after(*[NOW + MINUTE] * 5, tries=tries)
    free = NOW + 3 * MINUTE
    assert locked_until(tries, PINS_OF_LOCK) == free
    soon = after(*[free + HOUR - MS] * 5, tries=tries)
    assert locked_until(soon, PINS_OF_LOCK) == free + HOUR - MS + 4 * MINUTE
    later = after(*[free + HOUR] * 5, tries=tries)
    assert locked_until(later, PINS_OF_LOCK) == free + HOUR + MINUTE


def test_forty_within_an_hour_lock_however_they_are_spread():
    instants = [NOW + n * MINUTE for n in range(40)]
    assert locked_until(after(*instants[:39]), PINS_OF_LOCK) is None
    assert locked_until(after(*instants), PINS_OF_LOCK) == instants[-1] + MINUTE


def test_while_the_hour_is_full_each_further_try_locks_for_twice_as_long():
    tries = after(*(NOW + n * MINUTE for n in range(40)))
    for minutes in (1, 2, 4, 8):
        until = locked_until(tries, PINS_OF_LOCK)
        assert until is not None
        assert until == tries.at[-1] + minutes * MINUTE
        tries = after(until, tries=tries)


def test_tries_older_than_an_hour_do_not_count():
    instants = [NOW + n * 2 * MINUTE for n in range(90)]
    tries = after(*instants)
    assert locked_until(tries, PINS_OF_LOCK) is None
    assert len(tries.at) == 30


def test_a_try_that_was_right_is_as_if_it_had_not_been():
    before = after(*five(NOW)[:3])
    assert give_back(after(NOW + 9 * SECOND, tries=before), NOW + 9 * SECOND) == before


def test_a_right_one_as_the_fifth_ends_the_lockout_that_it_began():
    tries = after(*five(NOW))
    assert is_locked(tries, NOW + 5 * SECOND)
    assert not is_locked(give_back(tries, NOW + 4 * SECOND), NOW + 5 * SECOND)


def test_a_right_one_takes_no_wrong_one_back():
    tries = after(*[NOW] * 5)
    assert len(give_back(tries, NOW).at) == 4
    assert give_back(tries, NOW + SECOND) == tries


def test_a_right_one_that_comes_back_after_the_lockout_does_not_undo_it():
    tries = after(*five(NOW))
    tries = give_back(after(NOW + 5 * MINUTE, tries=tries), NOW + 4 * SECOND)
    assert tries.lockouts == 1
    assert len(tries.at) == 5


@given(
    st.lists(
        st.one_of(st.just(SECOND), st.timedeltas(min_value=timedelta(0), max_value=2 * HOUR)),
        max_size=80,
    )
)
def test_whoever_paces_the_tries_has_few_of_them_looked_at(pauses: list[timedelta]):
    tries, now, looked_at = Tries(), NOW, list[datetime]()
    for pause in pauses:
        now += pause
        if not is_locked(tries, now):
            tries = take_try(tries, PINS_OF_LOCK, now)
            looked_at.append(now)
    for at in looked_at:
        within_the_hour = [other for other in looked_at if at <= other < at + HOUR]
        assert len(within_the_hour) <= 45
        within_the_minute = [other for other in looked_at if at <= other < at + MINUTE]
        assert len(within_the_minute) <= 5


@given(
    st.lists(st.timedeltas(min_value=timedelta(0), max_value=30 * MINUTE), min_size=1, max_size=60)
)
def test_what_is_forgotten_is_the_same_as_nothing(pauses: list[timedelta]):
    tries, now = Tries(), NOW
    for pause in pauses:
        now += pause
        if not is_locked(tries, now):
            tries = take_try(tries, PINS_OF_LOCK, now)
    end = forgotten_at(tries, PINS_OF_LOCK)
    assert end is not None
    assert take_try(tries, PINS_OF_LOCK, end) == take_try(Tries(), PINS_OF_LOCK, end)


def test_no_tries_are_forgotten_already():
    assert forgotten_at(Tries(), PINS_OF_LOCK) is None


def test_clocks_of_nodes_may_differ_a_little():
    tries = after(NOW, NOW - 200 * MS, NOW + SECOND, NOW - MS, NOW)
    assert tries.at == sorted(tries.at)
    assert locked_until(tries, PINS_OF_LOCK) == NOW + SECOND + MINUTE


@pytest.mark.parametrize("pause", [SECOND, 12 * SECOND, 15 * SECOND, 20 * SECOND, 80 * SECOND])
def test_a_guesser_who_goes_on_all_day_has_about_forty_an_hour(pause: timedelta):
    tries, now, looked_at = Tries(), NOW, 0
    while now < NOW + 24 * HOUR:
        if not is_locked(tries, now):
            tries = take_try(tries, PINS_OF_LOCK, now)
            looked_at += 1
        now += pause
    assert looked_at <= 24 * 40
