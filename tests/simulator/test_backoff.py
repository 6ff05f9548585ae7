from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.backoff import LONGEST_NAMED_S, Ending, wait_before_retry

seeds = st.integers(0, 10_000)


def wait(ending: Ending, attempt: int = 0, seed: int = 1, cap_s: float = 60) -> float:
    seconds = wait_before_retry(ending, attempt, Random(seed), cap_s)
    assert seconds is not None
    return seconds


def test_a_revoked_lock_stays_away():
    assert wait_before_retry(Ending(code=4001), 0, Random(1)) is None


@given(seed=seeds)
def test_a_superseded_lock_stays_away_for_minutes_and_looks_again(seed):
    assert 300 <= wait(Ending(code=4000), seed=seed, cap_s=0.5) <= 600


@given(seed=seeds, code=st.sampled_from([1001, 1012]))
def test_a_lock_whose_server_restarts_comes_back_within_half_a_minute(seed, code):
    assert 0 <= wait(Ending(code=code), seed=seed) <= 30


@given(seed=seeds, attempt=st.integers(0, 10_000), cap_s=st.floats(0, 60))
def test_the_wait_doubles_from_one_second_up_to_the_cap(seed, attempt, cap_s):
    for ending in (Ending(), Ending(code=1006), Ending(code=4009), Ending(http_status=502)):
        assert 0 <= wait(ending, attempt, seed, cap_s) <= min(cap_s, 2 ** min(attempt, 10))


def test_the_jitter_is_full():
    waits = sorted(wait(Ending(code=1006), attempt=6, seed=seed) for seed in range(1000))
    assert waits[0] < 1
    assert 25 < waits[500] < 35
    assert waits[-1] > 59


@given(seed=seeds, named=st.integers(0, 500))
def test_an_overloaded_server_is_given_the_time_that_it_asks_for(seed, named):
    for ending in (
        Ending(code=1013, reason=f"retry after {named} s"),
        Ending(http_status=503, retry_after=str(named)),
    ):
        assert named <= wait(ending, seed=seed) <= named + max(1, named / 2)


def test_nobody_is_told_to_stay_away_for_hours():
    assert wait(Ending(code=1013, reason="retry after 99999")) <= LONGEST_NAMED_S + 60


@pytest.mark.parametrize("retry_after", ["", "Wed, soon"])
def test_without_a_named_time_the_backoff_counts(retry_after):
    assert wait(Ending(http_status=503, retry_after=retry_after)) <= 1


@given(seed=seeds)
def test_a_bad_credential_is_tried_again_slowly_from_the_start(seed):
    assert 30 <= wait(Ending(http_status=401), attempt=0, seed=seed) <= 60
