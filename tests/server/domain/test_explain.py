"""Explanations agree with the rules, with the clocks of every zone, and with themselves."""

import itertools
import random
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import LatchkeyError
from server.domain.explain import Explanation, Rule, explain
from server.domain.organizations import Guest
from server.domain.refusals import (
    DoorNeedsCode,
    GuestNotAllowed,
    KeyExpired,
    KeyNotYetValid,
    KeyOutsideSchedule,
    KeyRefused,
    KeyRevoked,
    KeyUsedUp,
)
from server.domain.schedule import ScheduleWindow, Weekday
from server.domain.temp_keys import (
    AccessMethod,
    AccessMode,
    Door,
    TempKey,
    check_door_opens_by_tap,
    check_guest,
    check_key,
    check_schedule,
)

ROME = ZoneInfo("Europe/Rome")
FROM = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
"""A Monday; 09:00 in Rome."""
UNTIL = FROM + timedelta(weeks=3)
INSIDE = FROM + timedelta(hours=1)
TICK = timedelta(microseconds=1)

DOOR = Door(id=1, lock_id=17, lock_uuid="lock")
PANEL = Door(id=2, lock_id=17, lock_uuid="lock", access_method=AccessMethod.CODE)
ANNA, BERT = Guest(user_id="anna"), Guest(user_id="bert")

RULE_OF: dict[type[LatchkeyError], Rule] = {
    KeyRevoked: Rule.REVOKED,
    KeyNotYetValid: Rule.WINDOW,
    KeyExpired: Rule.WINDOW,
    KeyUsedUp: Rule.USES,
    GuestNotAllowed: Rule.USER,
    KeyOutsideSchedule: Rule.SCHEDULE,
    DoorNeedsCode: Rule.ACCESS_METHOD,
}


def key_with(**fields: Any) -> TempKey:
    """A public key for two doors, good at ``INSIDE`` unless told otherwise."""
    key = TempKey(
        uuid="6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11",
        org_id="org",
        created_by="test",
        created_at=FROM - timedelta(days=1),
        valid_from=FROM,
        valid_until=UNTIL,
        doors=[DOOR, PANEL],
    )
    return msgspec.structs.replace(key, **fields)


def window(days: str, begin: str, until: str) -> ScheduleWindow:
    return ScheduleWindow(days=[Weekday(day) for day in days.split()], begin=begin, until=until)


def failed(explanation: Explanation) -> list[str]:
    return [result.rule for result in explanation.rules if not result.passed]


def first_refusal(
    key: TempKey, door: Door, zone: ZoneInfo, guest: Guest, at: datetime
) -> LatchkeyError | None:
    """What the checks of opening raise, asked one after the other."""
    try:
        check_key(key, at)
        check_guest(key, guest)
        check_schedule(key, zone, at)
        check_door_opens_by_tap(door)
    except LatchkeyError as refusal:
        return refusal
    return None


# Each rule


def test_a_key_that_opens_passes_every_rule_in_the_order_in_which_they_are_checked():
    explanation = explain(key_with(), DOOR, ROME, Guest(), INSIDE)
    assert explanation.opens
    assert explanation.next_opening == INSIDE
    assert [result.rule for result in explanation.rules] == [
        "revoked",
        "window",
        "uses",
        "user",
        "schedule",
        "accessMethod",
    ]
    assert all(result.passed and result.reason is None for result in explanation.rules)


@pytest.mark.parametrize(
    ("fields", "door", "guest", "at", "rule", "reason"),
    [
        ({"revoked_at": FROM}, DOOR, ANNA, INSIDE, "revoked", "key_revoked"),
        ({}, DOOR, ANNA, FROM - TICK, "window", "key_not_yet_valid"),
        ({}, DOOR, ANNA, UNTIL, "window", "key_expired"),
        ({"max_uses": 1, "used_count": 1}, DOOR, ANNA, INSIDE, "uses", "key_used_up"),
        (
            {"access_mode": AccessMode.USER_WHITELIST, "allowed_user_ids": ["anna"]},
            DOOR,
            BERT,
            INSIDE,
            "user",
            "guest_not_allowed",
        ),
        (
            {"schedule": [window("tue", "08:00", "17:00")]},
            DOOR,
            ANNA,
            INSIDE,
            "schedule",
            "key_outside_schedule",
        ),
        ({}, PANEL, ANNA, INSIDE, "accessMethod", "door_needs_code"),
    ],
)
def test_the_rule_that_refuses_is_named_with_its_reason_and_a_sentence(
    fields: dict[str, Any], door: Door, guest: Guest, at: datetime, rule: str, reason: str
):
    explanation = explain(key_with(**fields), door, ROME, guest, at)
    assert not explanation.opens
    assert failed(explanation) == [rule]
    [result] = [result for result in explanation.rules if not result.passed]
    assert result.reason == reason
    assert len(result.message) > 5


def test_every_rule_that_refuses_is_named_and_not_only_the_first():
    key = key_with(
        revoked_at=FROM,
        max_uses=1,
        used_count=1,
        access_mode=AccessMode.USER_WHITELIST,
        schedule=[window("tue", "08:00", "17:00")],
    )
    assert failed(explain(key, PANEL, ROME, None, UNTIL)) == list(Rule)


def test_every_refusal_of_a_key_belongs_to_a_rule():
    kinds = set(KeyRefused.__subclasses__())
    assert kinds <= set(RULE_OF)


def test_an_explanation_is_written_in_the_words_of_the_contract():
    written = msgspec.to_builtins(explain(key_with(), DOOR, ROME, None, FROM - TICK))
    assert set(written) == {"opens", "rules", "nextOpening"}
    assert written["rules"][1] == {
        "rule": "window",
        "passed": False,
        "message": "This key is not valid yet",
        "reason": "key_not_yet_valid",
    }


# Who is asked about


def test_without_a_guest_a_personal_key_is_explained_for_somebody_it_names():
    key = key_with(access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=["anna"])
    assert explain(key, DOOR, ROME, None, INSIDE).opens
    assert explain(key, DOOR, ROME, ANNA, INSIDE).opens
    assert not explain(key, DOOR, ROME, Guest(), INSIDE).opens


def test_a_personal_key_that_names_nobody_opens_for_nobody():
    key = key_with(access_mode=AccessMode.USER_WHITELIST)
    explanation = explain(key, DOOR, ROME, None, INSIDE)
    assert failed(explanation) == ["user"]
    assert explanation.next_opening is None


# The next opening


def test_a_key_that_is_not_valid_yet_opens_at_the_start_of_its_window():
    assert explain(key_with(), DOOR, ROME, None, FROM - TICK).next_opening == FROM


def test_a_key_with_a_schedule_opens_when_both_its_window_and_its_schedule_do():
    key = key_with(schedule=[window("mon", "08:00", "17:00")])
    assert explain(key, DOOR, ROME, None, FROM - timedelta(weeks=2)).next_opening == FROM
    monday_after = datetime(2026, 11, 30, 7, 0, tzinfo=UTC)
    evening = FROM + timedelta(hours=10)
    assert explain(key, DOOR, ROME, None, evening).next_opening == monday_after


def test_a_key_whose_schedule_does_not_open_before_it_expires_never_opens_again():
    key = key_with(schedule=[window("mon", "08:00", "17:00")], valid_until=FROM + timedelta(days=7))
    closed = datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    expiring = msgspec.structs.replace(key, valid_until=datetime(2026, 11, 30, 7, 0, tzinfo=UTC))
    assert explain(key, DOOR, ROME, None, closed).next_opening is not None
    assert explain(expiring, DOOR, ROME, None, closed).next_opening is None


@pytest.mark.parametrize(
    ("fields", "door"),
    [({"revoked_at": FROM}, DOOR), ({"max_uses": 1, "used_count": 1}, DOOR), ({}, PANEL)],
)
def test_what_time_does_not_change_leaves_no_next_opening(fields: dict[str, Any], door: Door):
    assert explain(key_with(**fields), door, ROME, None, FROM - TICK).next_opening is None


@pytest.mark.parametrize(
    ("at", "expected"),
    [(datetime.min.replace(tzinfo=UTC), FROM), (datetime.max.replace(tzinfo=UTC), None)],
)
def test_the_ends_of_the_calendar_can_be_asked_about(at: datetime, expected: datetime | None):
    key = key_with(schedule=[window("mon", "08:00", "17:00")])
    explanation = explain(key, DOOR, ROME, None, at)
    assert failed(explanation) == ["window", "schedule"]
    assert explanation.next_opening == expected


# Agreement with the checks

near_the_window = st.timedeltas(min_value=timedelta(days=-10), max_value=timedelta(days=30)).map(
    lambda since: FROM + since
) | st.sampled_from([FROM, FROM - TICK, UNTIL, UNTIL - TICK])

any_schedule = st.lists(
    st.builds(
        ScheduleWindow,
        days=st.lists(st.sampled_from(Weekday), min_size=1, max_size=7, unique=True),
        begin=st.times().map("{:%H:%M}".format),
        until=st.times().map("{:%H:%M}".format) | st.just("24:00"),
    ),
    max_size=3,
)

any_key = st.builds(
    key_with,
    revoked_at=st.none() | near_the_window,
    valid_from=near_the_window,
    valid_until=near_the_window,
    max_uses=st.none() | st.integers(1, 3),
    used_count=st.integers(0, 2),
    access_mode=st.sampled_from(AccessMode),
    allowed_user_ids=st.lists(st.sampled_from(["anna", "bert"]), unique=True),
    schedule=any_schedule,
)

any_zone = st.sampled_from(["UTC", "Europe/Rome", "Pacific/Kiritimati", "Pacific/Niue"]).map(
    ZoneInfo
)
any_guest = st.sampled_from([Guest(), ANNA, BERT])
any_door = st.sampled_from([DOOR, DOOR, PANEL])


@given(key=any_key, door=any_door, zone=any_zone, guest=any_guest, at=near_the_window)
def test_an_explanation_says_what_the_checks_of_opening_do(
    key: TempKey, door: Door, zone: ZoneInfo, guest: Guest, at: datetime
):
    explanation = explain(key, door, zone, guest, at)
    refusal = first_refusal(key, door, zone, guest, at)
    assert explanation.opens is (refusal is None)
    if refusal is not None:
        [first, *_] = [result for result in explanation.rules if not result.passed]
        assert first.rule is RULE_OF[type(refusal)]
        assert first.reason == refusal.reason
        assert first.message == str(refusal)


@given(
    key=any_key,
    door=any_door,
    zone=any_zone,
    guest=any_guest,
    at=near_the_window,
    later=st.lists(near_the_window, min_size=5, max_size=5),
)
def test_a_door_opens_at_the_next_opening_and_at_no_time_before_it(
    key: TempKey, door: Door, zone: ZoneInfo, guest: Guest, at: datetime, later: list[datetime]
):
    found = explain(key, door, zone, guest, at).next_opening
    if found is not None:
        assert found >= at
        assert explain(key, door, zone, guest, found).opens
        later.append(found - TICK)
    for instant in later:
        if instant >= at and (found is None or instant < found):
            assert not explain(key, door, zone, guest, instant).opens


# Agreement with the clocks of every zone
#
# What a window means is stated in terms of wall times, so the test cannot read it off a
# clock minute by minute: near a clock change, "the clock shows a time between from and
# until" is another rule. It looks instead for the instants at which a clock of the zone
# shows a window's two ends. It only ever asks zoneinfo for the offset at an instant of
# UTC, never for the meaning of a wall time, and counts in whole seconds.

HOUR = 3600
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FROM_THURSDAY = [*list(Weekday)[3:], *list(Weekday)[:3]]
"""The weekdays from that of 1 January 1970 on."""

MARGIN = 40 * DAY


class Change(NamedTuple):
    """One change of a zone's offset, at an instant."""

    at: int
    before: int
    after: int


class Clock:
    """What the clocks of a zone show from some instant to another."""

    def __init__(self, first_offset: int, changes: tuple[Change, ...]) -> None:
        self._changes = changes
        self._offsets = [first_offset, *(change.after for change in changes)]
        self._instants = [change.at for change in changes]

    def instant_of(self, wall: int) -> int:
        """The first instant at which clocks show ``wall``; in a gap, the one at which they
        would have shown it if they had not changed."""
        near = range(
            bisect_right(self._instants, wall - 2 * DAY),
            bisect_right(self._instants, wall + 2 * DAY) + 1,
        )
        shown = [wall - self._offsets[index] for index in near if self._shows(index, wall)]
        if shown:
            return min(shown)
        [gap] = [
            change
            for change in self._changes
            if change.at + change.before <= wall < change.at + change.after
        ]
        return wall - gap.before

    def _shows(self, index: int, wall: int) -> bool:
        """Whether clocks show ``wall`` between the changes ``index - 1`` and ``index``."""
        instant = wall - self._offsets[index]
        begun = index == 0 or self._instants[index - 1] <= instant
        return begun and (index == len(self._instants) or instant < self._instants[index])


@cache
def changes_of(zone_name: str, first_year: int, last_year: int) -> tuple[int, tuple[Change, ...]]:
    """The offset of a zone at first, and all its changes, to the second."""
    zone = ZoneInfo(zone_name)
    first = seconds(datetime(first_year, 1, 1, tzinfo=UTC)) - MARGIN
    last = seconds(datetime(last_year + 1, 1, 1, tzinfo=UTC)) + MARGIN
    found: list[Change] = []
    offset = first_offset = offset_at(zone, first)
    for instant in range(first, last, 3 * DAY):
        if offset_at(zone, instant) != offset:
            low, high = instant - 3 * DAY, instant
            while high - low > 1:
                middle = (low + high) // 2
                if offset_at(zone, middle) == offset:
                    low = middle
                else:
                    high = middle
            found.append(Change(high, offset, offset_at(zone, high)))
            offset = offset_at(zone, instant)
    return first_offset, tuple(found)


def offset_at(zone: ZoneInfo, instant: int) -> int:
    offset = moment(instant).astimezone(zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def seconds(instant: datetime) -> int:
    return int((instant - EPOCH).total_seconds())


def moment(instant: int) -> datetime:
    return EPOCH + timedelta(seconds=instant)


def expected_intervals(
    clock: Clock, schedule: list[ScheduleWindow], first_day: int, last_day: int
) -> Iterator[tuple[int, int]]:
    """When the schedule is open, by its windows on the local days from first to last.

    Days are counted from 1 January 1970.
    """
    for day in range(first_day, last_day + 1):
        weekday = FROM_THURSDAY[day % 7]
        for one in schedule:
            if weekday not in one.days:
                continue
            begin, until = seconds_of_day(one.begin), seconds_of_day(one.until)
            if until <= begin:
                until += DAY
            yield clock.instant_of(day * DAY + begin), clock.instant_of(day * DAY + until)


def seconds_of_day(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * HOUR + int(minutes) * 60


def time_of_day(wall: int) -> str:
    return f"{wall % DAY // HOUR:02}:{wall % HOUR // 60:02}"


def windows_around(change: Change) -> list[ScheduleWindow]:
    """Windows whose ends are before, at, within and after what a change skips or repeats.

    On the local days around it, from each end to each other: so over midnight as well.
    """
    low, high = sorted((change.at + change.before, change.at + change.after))
    ends = [low - HOUR, low, (low + high) // 2, high, high + HOUR]
    on = sorted({FROM_THURSDAY[wall // DAY % 7] for wall in (low - DAY, low, high)})
    texts = dict.fromkeys(time_of_day(end) for end in ends)
    pairs = [*itertools.product(texts, texts), (time_of_day(low), "24:00")]
    return [ScheduleWindow(days=on, begin=begin, until=until) for begin, until in pairs]


def assert_agrees(
    zone_name: str, clock: Clock, change: Change, schedule: list[ScheduleWindow]
) -> int:
    """Compare explanations with the clock at each turn of the schedule around a change.

    Returns:
        How many instants were compared.
    """
    zone = ZoneInfo(zone_name)
    today = change.at // DAY
    intervals = list(expected_intervals(clock, schedule, today - 4, today + 12))
    nearby = (change.at - DAY, change.at + DAY)
    turns = {change.at, *(turn for interval in intervals for turn in interval)}
    instants = sorted(
        instant for turn in turns if nearby[0] <= turn <= nearby[1] for instant in (turn - 1, turn)
    )
    key = key_with(
        schedule=schedule,
        valid_from=moment(change.at - MARGIN),
        valid_until=moment(change.at + MARGIN),
    )
    for instant in instants:
        explanation = explain(key, DOOR, zone, None, moment(instant))
        opens = any(begin <= instant < end for begin, end in intervals)
        following = min(
            max(begin, instant) for begin, end in intervals if begin < end and end > instant
        )
        context = f"{zone_name} at {moment(instant)}, {schedule}"
        assert explanation.opens is opens, context
        assert explanation.next_opening == moment(following), context
        if following > instant:
            assert explain(key, DOOR, zone, None, moment(following)).opens, context
            assert not explain(key, DOOR, zone, None, moment(following) - TICK).opens, context
    return len(instants)


def compare_every_change(zone_names: list[str], first_year: int, last_year: int) -> int:
    """Compare each zone around each of its changes, and an ordinary day.

    The windows are drawn from all that are around it. Zones with the same clocks are
    compared once.
    """
    draw = random.Random(20260329)
    compared = 0
    same_clocks = {changes_of(name, first_year, last_year): name for name in zone_names}
    for (first_offset, changes), zone_name in same_clocks.items():
        clock = Clock(first_offset, changes)
        ordinary = seconds(datetime(last_year, 2, 10, tzinfo=UTC)) + 9 * HOUR
        for change in (*changes, Change(ordinary, first_offset, first_offset)):
            possible = windows_around(change)
            for size in (1, 1, 1, 1, 1, 2, 3):
                compared += assert_agrees(zone_name, clock, change, draw.sample(possible, size))
    return compared


def test_explanations_agree_with_the_clocks_of_every_zone_through_ten_years_of_changes():
    assert compare_every_change(sorted(available_timezones()), 2020, 2030) > 1000


@pytest.mark.parametrize(
    ("zone_name", "first_year", "last_year"),
    [
        ("Pacific/Apia", 2009, 2013),  # skipped a day
        ("Pacific/Kwajalein", 1967, 1995),  # repeated a day in 1969 and skipped one in 1993
        ("Pacific/Kiritimati", 1978, 1996),
        ("America/Juneau", 1865, 1870),  # repeated a day
        ("Asia/Manila", 1843, 1846),
        ("America/St_Johns", 1985, 2012),  # changed at one minute past midnight
        ("Africa/Monrovia", 1970, 1973),  # offsets with seconds
        ("Europe/Amsterdam", 1900, 1950),
        ("Europe/Dublin", 1910, 1975),  # its summer time is the standard
        ("Europe/London", 1939, 1948),  # two hours ahead in summers of war
        ("Antarctica/Troll", 2005, 2012),
        ("Asia/Pyongyang", 2014, 2019),
    ],
)
def test_explanations_agree_with_the_strangest_clocks_there_were(
    zone_name: str, first_year: int, last_year: int
):
    assert compare_every_change([zone_name], first_year, last_year) > 0
