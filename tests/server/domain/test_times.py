"""Instants on the wire."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.times import parse_wire_time, wire_time

offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001  # hypothesis wants its bounds without a zone
    datetime(9999, 12, 30),  # noqa: DTZ001 - without a zone on purpose
    timezones=offsets,
)


def test_a_time_is_written_in_utc_with_milliseconds_and_a_z():
    rome = timezone(timedelta(hours=1))
    assert wire_time(datetime(2026, 11, 23, 9, 0, tzinfo=rome)) == "2026-11-23T08:00:00.000Z"


def test_what_is_below_a_millisecond_is_cut_off_not_rounded_up():
    last = datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert wire_time(last) == "2026-12-31T23:59:59.999Z"


@given(instant=instants)
def test_every_time_has_the_one_form(instant: datetime):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", wire_time(instant))


@given(instant=instants)
def test_what_is_written_is_read_back_to_the_millisecond(instant: datetime):
    cut = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    read = parse_wire_time(wire_time(instant))
    assert read == cut
    assert read.utcoffset() == timedelta(0)


@given(one=instants, other=instants)
def test_times_sort_as_their_texts_do(one: datetime, other: datetime):
    if wire_time(one) < wire_time(other):
        assert one < other


def test_a_time_with_another_offset_is_read_as_the_same_instant():
    assert parse_wire_time("2026-11-23T09:00:00+01:00") == datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-23T08:00:00", "2026-11-23"])
def test_a_time_without_an_offset_is_refused(text: str):
    with pytest.raises(ValueError, match="names no offset"):
        parse_wire_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "1700000000",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-23T24:30:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(ValueError):  # noqa: PT011  # each for a reason of its own
        parse_wire_time(text)


@given(text=st.text(max_size=40))
def test_no_text_raises_anything_but_a_value_error(text: str):
    try:
        parse_wire_time(text)
    except ValueError:
        return
