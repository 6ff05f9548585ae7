"""The wall clock."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from server import clock

offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001  # hypothesis wants its bounds without a zone
    datetime(9999, 12, 30),  # noqa: DTZ001 - without a zone on purpose
    timezones=offsets,
)


def test_now_is_the_present_instant():
    before = datetime.now(UTC)
    now = clock.now()
    assert before - timedelta(milliseconds=1) < now <= datetime.now(UTC)


def test_now_is_in_utc_and_has_whole_milliseconds():
    now = clock.now()
    assert now.tzinfo is UTC
    assert now.microsecond % 1000 == 0


@given(instant=instants)
def test_an_instant_is_cut_to_its_millisecond_and_never_moved_ahead(instant: datetime):
    cut = clock.to_millisecond(instant)
    assert cut.tzinfo is UTC
    assert cut.microsecond % 1000 == 0
    assert timedelta(0) <= instant - cut < timedelta(milliseconds=1)


@given(instant=instants)
def test_an_instant_that_was_cut_stays_as_it_is(instant: datetime):
    once = clock.to_millisecond(instant)
    assert clock.to_millisecond(once) == once
