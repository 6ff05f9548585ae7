"""Token buckets, at times that the test names."""

from hypothesis import given
from hypothesis import strategies as st

from server.domain.rates import Rate, TokenBucket, WaitingLine

RATE = Rate(a_second=2, burst=10)


def taken(bucket: TokenBucket, now: float, tries: int = 100) -> int:
    """How many of so many tries at one instant succeed."""
    return sum(bucket.take(now) for _ in range(tries))


def test_a_burst_comes_through_at_once_and_no_more():
    assert taken(TokenBucket(RATE, now=50.0), 50.0) == 10


def test_afterwards_tokens_grow_back_at_the_rate():
    bucket = TokenBucket(RATE, now=0.0)
    assert [taken(bucket, 0.0), taken(bucket, 0.4), taken(bucket, 1.0), taken(bucket, 3.0)] == [
        10,
        0,
        2,
        4,
    ]


def test_a_long_pause_gives_a_burst_again_and_no_more():
    bucket = TokenBucket(RATE, now=0.0)
    taken(bucket, 0.0)
    assert taken(bucket, 1_000_000.0) == 10


def test_tokens_that_are_added_go_beyond_the_burst():
    bucket = TokenBucket(RATE, now=0.0)
    bucket.add(seconds=20)
    assert taken(bucket, 0.0) == 50


def test_tokens_beyond_the_burst_do_not_grow():
    bucket = TokenBucket(RATE, now=0.0)
    bucket.add(seconds=20)
    assert taken(bucket, 1_000.0) == 50


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=60))
def test_no_more_than_the_burst_and_the_rate_ever_comes_through(pauses: list[float]):
    bucket, now, came = TokenBucket(RATE, now=0.0), 0.0, 0
    for pause in pauses:
        now += pause
        came += taken(bucket, now, tries=7)
    assert came <= RATE.burst + RATE.a_second * now + 1e-6


def test_those_in_line_come_back_one_after_the_other_at_the_rate():
    line = WaitingLine(a_second=4, longest_s=60)
    assert [line.wait_s(100.0) for _ in range(3)] == [0.25, 0.5, 0.75]


def test_the_line_moves_on_with_time():
    line = WaitingLine(a_second=4, longest_s=60)
    for _ in range(8):
        line.wait_s(100.0)
    assert [line.wait_s(101.0), line.wait_s(500.0)] == [1.25, 0.25]


def test_nobody_is_told_to_wait_longer_than_the_longest():
    line = WaitingLine(a_second=4, longest_s=3)
    waits = [line.wait_s(100.0) for _ in range(1000)]
    assert max(waits) == 3
    assert line.wait_s(101.0) == 2.25
