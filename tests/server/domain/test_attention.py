"""What is the matter with a lock, and in which order locks are looked at."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.domain.attention import (
    LARGEST_SKEW_MS,
    Trouble,
    attention_of,
    troubles_of,
    worst_first,
)
from server.domain.locks import Connection, LatestReading, Lock
from server.domain.protocol import BoltState

NOW = datetime(2026, 11, 24, 7, tzinfo=UTC)


def lock(name: str = "Door", reading: dict[str, Any] | None = None, **connection: Any) -> Lock:
    """A lock that has been online since yesterday, unless told otherwise."""
    said = {"seq": 1, "epoch": "e", "at": NOW, "received_at": NOW, **(reading or {})}
    known: dict[str, Any] = {"online": True, "since": NOW - timedelta(days=1), **connection}
    return Lock(
        id=1,
        uuid="u",
        org_id="o",
        name=name,
        created_at=NOW - timedelta(days=30),
        connection=Connection(**known),
        telemetry=LatestReading(**said),
    )


def test_nothing_is_the_matter_with_a_lock_that_is_online_and_says_so():
    assert troubles_of(lock(reading={"battery": 80.0, "bolt": BoltState.LOCKED})) == []


@pytest.mark.parametrize(
    ("troubled", "trouble"),
    [
        (lock(online=False), Trouble.OFFLINE),
        (lock(online=False, since=None), Trouble.NEVER_ONLINE),
        (lock(reading={"bolt": BoltState.JAMMED}), Trouble.JAMMED),
        (lock(reading={"battery": 20.0}), Trouble.BATTERY_LOW),
        (lock(clock_skew_ms=-LARGEST_SKEW_MS - 1), Trouble.CLOCK_SKEWED),
    ],
)
def test_each_trouble_is_found(troubled: Lock, trouble: Trouble):
    assert troubles_of(troubled) == [trouble]


def test_a_clock_that_is_a_little_off_is_no_trouble():
    assert troubles_of(lock(clock_skew_ms=LARGEST_SKEW_MS)) == []


def test_of_several_troubles_the_worst_for_guests_comes_first():
    worst = lock(online=False, reading={"bolt": BoltState.JAMMED, "battery": 3.0})
    assert troubles_of(worst) == [Trouble.OFFLINE, Trouble.JAMMED, Trouble.BATTERY_LOW]


def test_what_has_just_broken_stands_above_what_has_been_broken_for_long():
    old = lock("A", online=False, since=NOW - timedelta(days=90))
    new = lock("B", online=False, since=NOW - timedelta(minutes=3))
    jammed, well = lock("C", reading={"bolt": BoltState.JAMMED}), lock("A")
    assert sorted([well, jammed, old, new], key=worst_first) == [new, old, jammed, well]


def test_locks_without_trouble_are_in_the_order_of_their_names():
    first, second = lock("alpha", since=NOW - timedelta(days=9)), lock("Beta", since=NOW)
    assert sorted([second, first], key=worst_first) == [first, second]


def test_a_lock_with_two_troubles_counts_once_among_the_troubled():
    attention = attention_of([[Trouble.OFFLINE, Trouble.JAMMED], [], [Trouble.OFFLINE]])
    assert (attention.locks, attention.troubled) == (3, 2)
    assert (attention.having[Trouble.OFFLINE], attention.having[Trouble.JAMMED]) == (2, 1)
