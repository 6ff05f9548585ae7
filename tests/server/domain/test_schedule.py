"""Weekly schedules: what a window means, also on the days on which clocks change."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from server.domain.errors import InvalidInput
from server.domain.schedule import (
    Schedule,
    ScheduleWindow,
    Weekday,
    check_days,
    is_open,
    next_opening,
)

ROME = ZoneInfo("Europe/Rome")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
EVERY_DAY = " ".join(Weekday)

ZONES = [
    "UTC",
    "Europe/Rome",
    "Europe/Dublin",
    "Europe/Amsterdam",
    "America/New_York",
    "America/Havana",
    "America/St_Johns",
    "America/Nuuk",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Kwajalein",
    "Pacific/Niue",
]


def window(days: str, begin: str, until: str) -> ScheduleWindow:
    return ScheduleWindow(days=[Weekday(day) for day in days.split()], begin=begin, until=until)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def open_times(
    zone_name: str, first: str, last: str, *windows: ScheduleWindow
) -> list[tuple[str, str]]:
    """From when until when the schedule is open between two instants, in UTC.

    Found by asking every half minute.
    """
    zone, instant, end = ZoneInfo(zone_name), utc(first), utc(last)
    found: list[tuple[str, str]] = []
    begin = None
    while instant <= end:
        now_open = instant < end and is_open(windows, zone, instant)
        if now_open and begin is None:
            begin = instant
        if begin is not None and not now_open:
            found.append((f"{begin:%d %H:%M:%S}", f"{instant:%d %H:%M:%S}"))
            begin = None
        instant += timedelta(seconds=30)
    return found


times_of_day = st.times().map("{:%H:%M}".format)
windows = st.builds(
    ScheduleWindow,
    days=st.lists(st.sampled_from(Weekday), min_size=1, max_size=7, unique=True),
    begin=times_of_day,
    until=times_of_day | st.just("24:00"),
)
schedules = st.lists(windows, min_size=1, max_size=4)
zones = st.sampled_from(ZONES).map(ZoneInfo)
instants = st.timedeltas(
    min_value=timedelta(days=-70 * 365), max_value=timedelta(days=70 * 365)
).map(lambda since: EPOCH + since)


# On the wire


def test_a_window_is_read_and_written_with_from_and_until():
    wire = b'[{"days":["mon","tue"],"from":"08:00","until":"17:00"}]'
    schedule = msgspec.json.decode(wire, type=Schedule)
    assert schedule == [window("mon tue", "08:00", "17:00")]
    assert msgspec.json.encode(schedule) == wire


@pytest.mark.parametrize("begin", ["00:00", "09:59", "19:00", "23:59"])
@pytest.mark.parametrize("until", ["00:00", "08:30", "23:59", "24:00"])
def test_every_time_of_the_day_can_begin_or_end_a_window(begin: str, until: str):
    wire = {"days": ["sun"], "from": begin, "until": until}
    assert msgspec.convert(wire, ScheduleWindow) == window("sun", begin, until)


BAD_TIMES = [
    "",
    "8:00",
    "08:0",
    "24:01",
    "25:00",
    "12:60",
    "08:00\n",
    "08:00:00",
    "0800",
    "\u0660\u0668:\u0660\u0660",
]


@pytest.mark.parametrize("text", [*BAD_TIMES, "24:00", 800, None])
def test_what_is_no_time_of_day_begins_no_window(text: object):
    with pytest.raises(msgspec.ValidationError, match=r"\$\[0\]\.from"):
        msgspec.convert([{"days": ["mon"], "from": text, "until": "17:00"}], Schedule)


@pytest.mark.parametrize("text", [*BAD_TIMES, "24:00\n", 1700, None])
def test_what_is_no_time_of_day_ends_no_window(text: object):
    with pytest.raises(msgspec.ValidationError, match=r"\$\[0\]\.until"):
        msgspec.convert([{"days": ["mon"], "from": "08:00", "until": text}], Schedule)


@pytest.mark.parametrize(
    "days", [[], ["Mon"], ["monday"], [1], "mon", {"$ne": None}, None, ["mon"] * 8]
)
def test_a_window_is_on_one_to_seven_known_days(days: object):
    with pytest.raises(msgspec.ValidationError, match=r"\$\[0\]\.days"):
        msgspec.convert([{"days": days, "from": "08:00", "until": "17:00"}], Schedule)


@pytest.mark.parametrize("missing", ["days", "from", "until"])
def test_no_part_of_a_window_may_be_missing(missing: str):
    wire = {"days": ["mon"], "from": "08:00", "until": "17:00"}
    del wire[missing]
    with pytest.raises(msgspec.ValidationError, match=missing):
        msgspec.convert(wire, ScheduleWindow)


def test_a_schedule_has_at_most_fifty_windows():
    wire = [{"days": ["mon"], "from": "08:00", "until": "17:00"}]
    assert len(msgspec.convert(wire * 50, Schedule)) == 50
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wire * 51, Schedule)


def test_a_day_that_is_named_twice_is_refused_by_its_path():
    schedule = [window(EVERY_DAY, "08:00", "17:00"), window("mon tue mon", "08:00", "17:00")]
    with pytest.raises(InvalidInput) as refused:
        check_days(schedule)
    assert refused.value.field == "schedule[1].days[2]"
    assert "mon is named twice" in str(refused.value)


def test_the_same_day_may_be_in_two_windows():
    check_days([window("mon", "08:00", "12:00"), window("mon", "14:00", "18:00")])


# The hours of an ordinary week (2026-11-23 is a Monday, and Rome an hour ahead of UTC)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        (utc("2026-11-23T07:00") - TICK, False),
        (utc("2026-11-23T07:00"), True),
        (utc("2026-11-23T16:00") - TICK, True),
        (utc("2026-11-23T16:00"), False),
    ],
)
def test_a_window_is_good_at_its_from_and_not_at_its_until(instant: datetime, expected: bool):
    assert is_open([window("mon", "08:00", "17:00")], ROME, instant) is expected


def test_a_window_is_only_on_its_days():
    schedule = [window("mon wed", "08:00", "17:00")]
    noons = [utc("2026-11-23T11:00") + number * DAY for number in range(8)]
    opened = [noon.strftime("%a") for noon in noons if is_open(schedule, ROME, noon)]
    assert opened == ["Mon", "Wed", "Mon"]


def test_the_day_is_the_one_at_the_door_and_not_in_utc():
    schedule = [window("tue", "00:00", "01:00")]
    assert is_open(schedule, ROME, utc("2026-11-23T23:30"))
    assert not is_open(schedule, ROME, utc("2026-11-24T00:30"))


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins():
    friday_night = window("fri", "22:00", "06:00")
    assert open_times("Europe/Rome", "2026-11-23T00:00", "2026-11-30T00:00", friday_night) == [
        ("27 21:00:00", "28 05:00:00")
    ]


def test_a_window_until_midnight_ends_with_its_day():
    for until in ("24:00", "00:00"):
        evening = window("fri", "22:00", until)
        assert open_times("Europe/Rome", "2026-11-23T00:00", "2026-11-30T00:00", evening) == [
            ("27 21:00:00", "27 23:00:00")
        ]


def test_a_window_whose_from_is_its_until_lasts_a_day():
    shift = window("fri", "08:00", "08:00")
    assert open_times("Europe/Rome", "2026-11-23T00:00", "2026-11-30T00:00", shift) == [
        ("27 07:00:00", "28 07:00:00")
    ]


def test_windows_that_touch_or_overlap_are_open_throughout():
    touching = [window("mon", "08:00", "12:00"), window("mon", "12:00", "14:00")]
    overlapping = window("mon", "13:00", "17:00")
    week = ("2026-11-23T00:00", "2026-11-30T00:00")
    assert open_times("Europe/Rome", *week, *touching, overlapping) == [
        ("23 07:00:00", "23 16:00:00")
    ]


def test_a_leap_day_is_the_weekday_that_it_is():
    tuesday = window("tue", "00:00", "24:00")
    assert date(2028, 2, 29).strftime("%a") == "Tue"
    assert open_times("Europe/Rome", "2028-02-26T00:00", "2028-03-03T00:00", tuesday) == [
        ("28 23:00:00", "29 23:00:00")
    ]


@given(zone=zones, instant=instants)
def test_a_schedule_without_windows_is_always_open(zone: ZoneInfo, instant: datetime):
    assert is_open([], zone, instant)
    assert next_opening([], zone, instant, instant + TICK) == instant
    assert next_opening([], zone, instant, instant) is None


@given(zone=zones, instant=instants, split=times_of_day)
def test_whole_days_one_after_the_other_leave_no_instant_out(
    zone: ZoneInfo, instant: datetime, split: str
):
    assert is_open([window(EVERY_DAY, "00:00", "24:00")], zone, instant)
    assert is_open([window(EVERY_DAY, split, split)], zone, instant)


@given(zone=zones, instant=instants, schedule=schedules)
def test_away_from_clock_changes_a_window_is_what_the_clock_on_the_wall_says(
    zone: ZoneInfo, instant: datetime, schedule: list[ScheduleWindow]
):
    around = [instant + hours * HOUR for hours in range(-72, 73)]
    assume(len({near.astimezone(zone).utcoffset() for near in around}) == 1)
    wall = instant.astimezone(zone)
    assert is_open(schedule, zone, instant) is any(clock_is_in(one, wall) for one in schedule)


def clock_is_in(one: ScheduleWindow, wall: datetime) -> bool:
    """Whether a clock that never changes shows a time within the window."""
    today, yesterday = (f"{day:%a}".lower() for day in (wall, wall - DAY))
    shown = f"{wall:%H:%M}"
    if one.begin < one.until:
        return today in one.days and one.begin <= shown < one.until
    return (today in one.days and one.begin <= shown) or (
        yesterday in one.days and shown < one.until
    )


# The days on which clocks change

SPRING = ("2026-03-29T00:00", "2026-03-29T06:00")
"""In Rome, 02:00 becomes 03:00 at 01:00 UTC."""

AUTUMN = ("2026-10-24T22:00", "2026-10-25T06:00")
"""In Rome, 03:00 becomes 02:00 at 01:00 UTC."""


@pytest.mark.parametrize(
    ("begin", "until", "expected"),
    [
        ("01:30", "02:00", [("29 00:30:00", "29 01:00:00")]),
        ("01:00", "02:30", [("29 00:00:00", "29 01:30:00")]),
        ("02:00", "02:30", [("29 01:00:00", "29 01:30:00")]),
        ("02:15", "02:45", [("29 01:15:00", "29 01:45:00")]),
        ("02:00", "03:00", []),
        ("02:30", "03:00", []),
        ("02:30", "03:15", []),
        ("02:30", "04:00", [("29 01:30:00", "29 02:00:00")]),
        ("01:00", "04:00", [("29 00:00:00", "29 02:00:00")]),
        ("03:00", "04:00", [("29 01:00:00", "29 02:00:00")]),
    ],
)
def test_a_time_in_a_gap_is_counted_on_from_before_it(
    begin: str, until: str, expected: list[tuple[str, str]]
):
    assert open_times("Europe/Rome", *SPRING, window("sun", begin, until)) == expected


@pytest.mark.parametrize(
    ("begin", "until", "expected"),
    [
        ("01:30", "02:00", [("24 23:30:00", "25 00:00:00")]),
        ("01:00", "02:30", [("24 23:00:00", "25 00:30:00")]),
        ("02:00", "02:30", [("25 00:00:00", "25 00:30:00")]),
        ("02:15", "02:45", [("25 00:15:00", "25 00:45:00")]),
        ("02:00", "03:00", [("25 00:00:00", "25 02:00:00")]),
        ("02:30", "04:00", [("25 00:30:00", "25 03:00:00")]),
        ("03:00", "04:00", [("25 02:00:00", "25 03:00:00")]),
    ],
)
def test_a_time_in_a_fold_is_its_first_occurrence(
    begin: str, until: str, expected: list[tuple[str, str]]
):
    assert open_times("Europe/Rome", *AUTUMN, window("sun", begin, until)) == expected


def test_a_night_over_a_clock_change_is_an_hour_shorter_or_longer():
    night = window("sat", "22:00", "06:00")
    assert open_times("Europe/Rome", "2026-03-28T12:00", "2026-03-29T12:00", night) == [
        ("28 21:00:00", "29 04:00:00")
    ]
    assert open_times("Europe/Rome", "2026-10-24T12:00", "2026-10-25T12:00", night) == [
        ("24 20:00:00", "25 05:00:00")
    ]


def test_a_gap_up_to_midnight_leaves_the_night_after_it():
    """In Nuuk, 28 March 2026 ends at 23:00: clocks go on to midnight, at 01:00 UTC."""
    day = ("2026-03-28T12:00", "2026-03-29T12:00")
    assert open_times("America/Nuuk", *day, window("sat", "23:00", "24:00")) == []
    assert open_times("America/Nuuk", *day, window("sat", "23:00", "02:00")) == [
        ("29 01:00:00", "29 03:00:00")
    ]


def test_a_fold_at_midnight_does_not_begin_the_day_twice():
    """In Havana, 1 November 2026 shows the hour after midnight twice, from 04:00 UTC."""
    days = ("2026-10-31T12:00", "2026-11-02T00:00")
    assert open_times("America/Havana", *days, window("sat", "23:00", "24:00")) == [
        ("01 03:00:00", "01 04:00:00")
    ]
    assert open_times("America/Havana", *days, window("sun", "00:30", "02:00")) == [
        ("01 04:30:00", "01 07:00:00")
    ]


def test_clocks_may_change_by_half_an_hour():
    """On Lord Howe, 02:00 becomes 02:30 on 4 October 2026, and 01:30 on 5 April."""
    assert open_times(
        "Australia/Lord_Howe",
        "2026-10-03T12:00",
        "2026-10-03T20:00",
        window("sun", "01:45", "03:00"),
    ) == [("03 15:15:00", "03 16:00:00")]
    assert open_times(
        "Australia/Lord_Howe",
        "2026-04-04T12:00",
        "2026-04-04T20:00",
        window("sun", "01:45", "03:00"),
    ) == [("04 14:45:00", "04 16:30:00")]


def test_the_windows_of_a_day_that_a_zone_skips_take_place_a_day_later():
    """Apia went from the end of Thursday 29 December 2011 to Saturday 31, at 10:00 UTC."""
    days = ("2011-12-29T00:00", "2012-01-01T10:00")
    thursday, friday = ("29 18:00:00", "30 03:00:00"), ("30 18:00:00", "31 03:00:00")
    assert open_times("Pacific/Apia", *days, window("thu", "08:00", "17:00")) == [thursday]
    assert open_times("Pacific/Apia", *days, window("fri", "08:00", "17:00")) == [friday]
    assert open_times("Pacific/Apia", *days, window("sat", "08:00", "17:00")) == [friday]
    assert open_times("Pacific/Apia", *days, window("thu", "22:00", "06:00")) == [
        ("30 08:00:00", "30 16:00:00")
    ]


def test_the_earliest_opening_may_be_of_the_later_of_two_days():
    """Apia's skipped Friday evening takes place after Saturday's morning has."""
    schedule = [window("fri", "20:00", "21:00"), window("sat", "08:00", "09:00")]
    apia = ZoneInfo("Pacific/Apia")
    found = next_opening(schedule, apia, utc("2011-12-30T10:00"), utc("2012-01-05T00:00"))
    assert found == utc("2011-12-30T18:00")


def test_a_day_that_kwajalein_skipped_is_no_different():
    """It went from the end of Friday 20 August 1993 to Sunday 22, at 12:00 UTC."""
    days = ("1993-08-20T00:00", "1993-08-23T00:00")
    assert open_times("Pacific/Kwajalein", *days, window("fri", "10:00", "24:00")) == [
        ("20 22:00:00", "21 12:00:00")
    ]
    assert open_times("Pacific/Kwajalein", *days, window("sun", "00:00", "06:00")) == [
        ("21 12:00:00", "21 18:00:00")
    ]


def test_an_offset_may_have_seconds():
    """Monrovia was 44 minutes and 30 seconds behind until 7 January 1972."""
    morning = window(EVERY_DAY, "08:00", "09:00")
    assert open_times("Africa/Monrovia", "1972-01-06T00:00", "1972-01-09T00:00", morning) == [
        ("06 08:44:30", "06 09:44:30"),
        ("07 08:00:00", "07 09:00:00"),
        ("08 08:00:00", "08 09:00:00"),
    ]


# The next opening


@given(schedule=schedules, zone=zones, after=instants, share=st.floats(0, 1))
def test_the_next_opening_is_open_and_nothing_before_it_is(
    schedule: list[ScheduleWindow], zone: ZoneInfo, after: datetime, share: float
):
    found = next_opening(schedule, zone, after, after + 3 * WEEK)
    assert found is not None
    assert found >= after
    assert is_open(schedule, zone, found)
    if found > after:
        assert not is_open(schedule, zone, found - TICK)
        assert not is_open(schedule, zone, after + share * (found - TICK - after))


@given(schedule=schedules, zone=zones, after=instants)
def test_the_next_opening_is_before_the_end_that_was_given(
    schedule: list[ScheduleWindow], zone: ZoneInfo, after: datetime
):
    found = next_opening(schedule, zone, after, after + 3 * WEEK)
    assert found is not None
    assert next_opening(schedule, zone, after, found + TICK) == found
    assert next_opening(schedule, zone, after, found) is None
    assert next_opening(schedule, zone, after, after) is None


@given(schedule=schedules, zone=zones, after=instants)
def test_an_instant_in_a_window_is_its_own_next_opening(
    schedule: list[ScheduleWindow], zone: ZoneInfo, after: datetime
):
    found = next_opening(schedule, zone, after, after + TICK)
    assert found == (after if is_open(schedule, zone, after) else None)


def test_a_window_that_a_gap_leaves_nothing_of_opens_a_week_later():
    found = next_opening(
        [window("sun", "02:30", "03:00")], ROME, utc("2026-03-28T00:00"), utc("2027-01-01T00:00")
    )
    assert found == utc("2026-04-05T00:30")


@given(
    schedule=schedules,
    zone=zones,
    instant=instants,
    minutes=st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_with_which_offset_an_instant_is_written_makes_no_difference(
    schedule: list[ScheduleWindow], zone: ZoneInfo, instant: datetime, minutes: int
):
    written = instant.astimezone(timezone(timedelta(minutes=minutes)))
    end = written + WEEK
    assert is_open(schedule, zone, written) is is_open(schedule, zone, instant)
    assert next_opening(schedule, zone, written, end) == next_opening(schedule, zone, instant, end)


@pytest.mark.parametrize(
    ("zone_name", "hours", "instant"),
    [
        ("Pacific/Kiritimati", -23, utc("2026-11-26T10:00")),  # written as of Wednesday
        ("Pacific/Niue", 23, utc("2026-11-29T10:58")),  # written as of Monday
    ],
)
def test_an_instant_may_be_written_days_away_from_the_day_at_the_door(
    zone_name: str, hours: int, instant: datetime
):
    written = instant.astimezone(timezone(hours * HOUR))
    begin = "00:00" if hours < 0 else "23:59"
    schedule = [window("fri", begin, begin)]
    assert is_open(schedule, ZoneInfo(zone_name), written)
    assert next_opening(schedule, ZoneInfo(zone_name), written, written + TICK) == instant


@pytest.mark.parametrize("zone_name", ["UTC", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Niue"])
@pytest.mark.parametrize("hours", [-23, 0, 23])
def test_the_ends_of_the_calendar_are_nothing_to_fall_over(zone_name: str, hours: int):
    zone, offset = ZoneInfo(zone_name), timezone(hours * HOUR)
    earliest, latest = datetime.min.replace(tzinfo=offset), datetime.max.replace(tzinfo=offset)
    schedule: Sequence[ScheduleWindow] = [window(EVERY_DAY, "00:00", "24:00")]
    assert not is_open(schedule, zone, latest)
    assert is_open(schedule, zone, earliest + WEEK)
    is_open(schedule, zone, earliest)
    assert next_opening(schedule, zone, latest - HOUR, latest) is None
    found = next_opening(schedule, zone, earliest, latest)
    assert found is not None
    assert found - earliest < WEEK
