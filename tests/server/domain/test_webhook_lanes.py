"""The order of deliveries, whatever fails and whenever the node is killed."""

from collections import defaultdict
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from server.domain.events import RecordedEvent
from server.domain.webhook_lanes import Lanes

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def event(position: int, lock_id: int) -> RecordedEvent:
    return RecordedEvent(
        id=f"event-{position}",
        org_id="org",
        lock_id=lock_id,
        version=position,
        type="LockOnline",
        recorded_at=NOW,
        data={},
        position=position,
    )


def of_locks(*lock_ids: int) -> list[RecordedEvent]:
    return [event(position, lock_id) for position, lock_id in enumerate(lock_ids, start=1)]


def positions_of(lanes: Lanes) -> list[int]:
    found: list[int] = []
    while taken := lanes.next():
        found.append(taken.position)
    return found


def test_one_event_of_each_lock_is_sent_at_once():
    lanes = Lanes(0)
    lanes.add(of_locks(1, 1, 2, 2, 3), 5)
    assert positions_of(lanes) == [1, 3, 5]


def test_the_next_of_a_lock_comes_when_the_one_before_is_dealt_with():
    lanes = Lanes(0)
    first, second = of_locks(1, 1)
    lanes.add([first, second], 2)
    assert lanes.next() is first
    assert lanes.next() is None
    lanes.dealt_with(first)
    assert lanes.next() is second


def test_events_of_a_lock_that_lags_are_passed_over_until_it_has_caught_up():
    lanes = Lanes(0)
    first, second, third = of_locks(1, 1, 1)
    lanes.add([first, second], 2)
    assert lanes.next() is first
    lanes.fell_behind(first)
    assert len(lanes) == 0
    lanes.add([], 2)
    assert lanes.next() is None
    lanes.caught_up(1)
    lanes.add([third], 3)
    assert lanes.next() is third


def test_the_cursor_stays_before_the_first_event_that_is_not_dealt_with():
    lanes = Lanes(0)
    first, second, _ = events = of_locks(1, 2, 1)
    lanes.add(events, 7)
    assert positions_of(lanes) == [1, 2]
    assert lanes.cursor == 0
    lanes.dealt_with(second)
    assert lanes.cursor == 0
    lanes.dealt_with(first)
    assert lanes.cursor == 2
    lanes.next()
    lanes.fell_behind(events[2])
    assert lanes.cursor == 7


@given(st.lists(st.integers(1, 4), max_size=40), st.data())
def test_from_the_cursor_and_the_lagging_locks_every_event_is_found_again(
    lock_ids: list[int], data: st.DataObject
):
    """A node is killed at any moment; who goes on sends the rest, and each lock's in order."""
    events = of_locks(*lock_ids)
    sent: list[RecordedEvent] = []
    lags: dict[int, int] = {}
    cursor = 0
    for _ in range(3):
        lanes, read, under_way = Lanes(cursor, lags), cursor, list[RecordedEvent]()
        for step in data.draw(st.lists(st.sampled_from("rsdfc"), max_size=40)):
            if step == "r":
                batch = events[read : read + 3]
                read += len(batch)
                lanes.add(batch, read)
            elif step == "s" and (begun := lanes.next()):
                under_way.append(begun)
            elif step == "d" and under_way:
                sent.append(under_way[0])
                lanes.dealt_with(under_way.pop(0))
            elif step == "f" and under_way:
                failed = under_way.pop()
                lags[failed.lock_id] = failed.position - 1
                lanes.fell_behind(failed)
            elif step == "c" and lags:
                lock_id, after = lags.popitem()
                sent += [e for e in events[after:read] if e.lock_id == lock_id]
                lanes.caught_up(lock_id)
            cursor = lanes.cursor
    sent += [e for e in events if e.position > lags.get(e.lock_id, cursor)]
    order: defaultdict[int, list[int]] = defaultdict(list)
    for one in sent:
        if one.position not in order[one.lock_id]:
            order[one.lock_id].append(one.position)
    assert {lock: sorted(seen) for lock, seen in order.items()} == dict(order)
    assert sorted(p for seen in order.values() for p in seen) == [e.position for e in events]
