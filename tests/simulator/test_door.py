from server.domain.protocol import BoltState, DoorState, LockEvent
from simulator.door import Door, DoorTimes

TIMES = DoorTimes(bolt_s=1, guest_enters_after_s=2, door_stays_open_s=3)


def test_an_opening_runs_from_the_bolt_to_the_shut_and_locked_door():
    door = Door(TIMES)
    door.open("c-1", now=100, open_for_s=5)
    assert door.is_moving
    seen = [(h.due, h.event, h.command_id) for h in door.happened(200)]
    assert seen == [
        (101, LockEvent.OPENED, "c-1"),
        (103, LockEvent.DOOR_OPENED, "c-1"),
        (106, LockEvent.DOOR_CLOSED, "c-1"),
        (107, LockEvent.LOCKED, "c-1"),
    ]
    assert not door.is_moving
    assert door.next_due is None


def test_the_bolt_stays_back_as_long_as_it_was_asked_to():
    door = Door(TIMES)
    door.open("c-1", now=0, open_for_s=60)
    assert [h.due for h in door.happened(1000) if h.event is LockEvent.LOCKED] == [61]


def test_bolt_and_door_show_what_happened_so_far():
    door = Door(TIMES)
    door.open("c-1", now=0, open_for_s=5)
    assert (door.bolt, door.door) == (BoltState.LOCKED, DoorState.CLOSED)
    door.happened(3)
    assert (door.bolt, door.door) == (BoltState.UNLOCKED, DoorState.OPEN)
    door.happened(10)
    assert (door.bolt, door.door) == (BoltState.LOCKED, DoorState.CLOSED)


def test_a_second_opening_while_the_bolt_is_back_locks_only_once():
    door = Door(TIMES)
    door.open("c-1", now=0, open_for_s=5)
    door.happened(2)
    door.open("c-2", now=2, open_for_s=5)
    events = [(h.event, h.command_id) for h in door.happened(1000)]
    assert events.count((LockEvent.OPENED, "c-2")) == 1
    assert [pair for pair in events if pair[0] is LockEvent.LOCKED] == [(LockEvent.LOCKED, "c-2")]
    assert (door.bolt, door.door) == (BoltState.LOCKED, DoorState.CLOSED)


def test_a_jammed_door_says_so():
    assert Door(jammed=True).bolt is BoltState.JAMMED
