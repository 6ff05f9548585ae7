"""Which doors a PIN opens, and what one looks like."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from server.domain.errors import DoorNotFound
from server.domain.pins import PinText, new_pin, pin_door, pin_doors
from server.domain.temp_keys import AccessMethod, Door, TempKey

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def make_key(*doors: tuple[int, AccessMethod]) -> TempKey:
    return TempKey(
        uuid="key",
        org_id="org",
        created_by="test",
        created_at=NOW,
        valid_from=NOW,
        valid_until=NOW + timedelta(hours=1),
        doors=[
            Door(id=number, lock_id=lock_id, lock_uuid=f"lock-{lock_id}", access_method=method)
            for number, (lock_id, method) in enumerate(doors, start=1)
        ],
    )


@pytest.mark.parametrize(
    ("drawn", "pin"), [(0, "000000"), (7, "000007"), (123456, "123456"), (999_999, "999999")]
)
def test_a_pin_is_six_digits_leading_zeros_included(drawn: int, pin: str):
    assert new_pin(lambda _: drawn) == pin


def test_a_pin_is_drawn_from_a_million():
    asked: list[int] = []
    new_pin(lambda limit: asked.append(limit) or 0)
    assert asked == [1_000_000]


def test_pins_are_spread_over_their_whole_range():
    first_digits = Counter(new_pin()[0] for _ in range(5000))
    assert set(first_digits) == set("0123456789")
    assert max(first_digits.values()) < 2 * min(first_digits.values())


@pytest.mark.parametrize("pin", ["1234", "12345", "123456", "1234567", "00000000"])
def test_four_to_eight_digits_may_be_entered(pin: str):
    assert msgspec.convert(pin, PinText) == pin


@pytest.mark.parametrize(
    "entered",
    [
        "",
        "123",
        "123456789",
        "12345a",
        "12 345",
        "123456\n",
        "\n12345",
        "-12345",
        "+12345",
        "1e5000",
        "١٢٣٤٥٦",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "12345\x00",
        123456,
        None,
        ["1", "2", "3", "4"],
        {"$ne": None},
    ],
)
def test_nothing_else_may_be_entered(entered: object):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(entered, PinText)


def test_a_pin_opens_the_doors_that_say_so():
    key = make_key((7, AccessMethod.KEY), (8, AccessMethod.CODE), (9, AccessMethod.BOTH))
    assert [door.id for door in pin_doors(key)] == [2, 3]


def test_at_a_lock_with_two_doors_the_first_that_opens_by_pin_is_meant():
    key = make_key((7, AccessMethod.KEY), (7, AccessMethod.BOTH), (7, AccessMethod.CODE))
    assert pin_door(key, 7).id == 2


@pytest.mark.parametrize("lock_id", [7, 9])
def test_there_is_no_door_for_a_pin_at_a_lock_that_opens_by_tap_or_is_not_of_the_key(lock_id: int):
    key = make_key((7, AccessMethod.KEY), (8, AccessMethod.CODE))
    with pytest.raises(DoorNotFound):
        pin_door(key, lock_id)
