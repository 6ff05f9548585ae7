"""When a lock was online, worked out from its events."""

import itertools
from datetime import UTC, datetime, timedelta

from server.domain.locks import Connection, Lock
from server.domain.presence import PresenceEvent, Stretch, presence_between

END = datetime(2026, 11, 24, 7, tzinfo=UTC)
BEGIN = END - timedelta(hours=48)
LONG_AGO = END - timedelta(days=9)


def hours(n: float) -> datetime:
    """So many hours after the beginning."""
    return BEGIN + timedelta(hours=n)


def lock(online: bool, since: datetime | None, created_at: datetime = LONG_AGO) -> Lock:
    connection = Connection(online=online, since=since)
    return Lock(
        id=1, uuid="u", org_id="o", name="Door", created_at=created_at, connection=connection
    )


def test_without_events_the_present_state_has_lasted():
    assert presence_between(lock(True, hours(-9)), [], BEGIN, END) == [Stretch(BEGIN, END, True)]
    assert presence_between(lock(False, None), [], BEGIN, END) == [Stretch(BEGIN, END, False)]


def test_before_its_first_event_a_lock_was_in_the_other_state():
    events = [PresenceEvent(hours(10), False), PresenceEvent(hours(12), True)]
    assert presence_between(lock(True, hours(12)), events, BEGIN, END) == [
        Stretch(BEGIN, hours(10), True),
        Stretch(hours(10), hours(12), False),
        Stretch(hours(12), END, True),
    ]


def test_a_change_whose_event_is_not_written_yet_counts():
    events = [PresenceEvent(hours(10), True)]
    assert presence_between(lock(False, hours(47)), events, BEGIN, END) == [
        Stretch(BEGIN, hours(10), False),
        Stretch(hours(10), hours(47), True),
        Stretch(hours(47), END, False),
    ]


def test_nothing_is_known_of_a_lock_before_it_was_there():
    events = [PresenceEvent(hours(40), True)]
    young = lock(True, hours(40), created_at=hours(39))
    assert presence_between(young, events, BEGIN, END) == [
        Stretch(BEGIN, hours(39), None),
        Stretch(hours(39), hours(40), False),
        Stretch(hours(40), END, True),
    ]


def test_two_events_of_the_same_kind_make_one_stretch():
    events = [PresenceEvent(hours(1), False), PresenceEvent(hours(2), False)]
    assert presence_between(lock(False, hours(2)), events, BEGIN, END) == [
        Stretch(BEGIN, hours(1), True),
        Stretch(hours(1), END, False),
    ]


def test_stretches_follow_each_other_without_a_gap_whatever_the_events_say():
    events = [PresenceEvent(hours(n), n % 3 == 0) for n in (5, 5, 4, 50, 47)]
    stretches = presence_between(lock(True, hours(1)), events, BEGIN, END)
    assert (stretches[0].begin, stretches[-1].end) == (BEGIN, END)
    for before, after in itertools.pairwise(stretches):
        assert before.end == after.begin
