"""The rules of temp keys: who may open which door, and when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import DoorNotFound, InvalidInput
from server.domain.organizations import Guest
from server.domain.refusals import (
    DoorNeedsCode,
    GuestNotAllowed,
    KeyExpired,
    KeyNotYetValid,
    KeyRefused,
    KeyRevoked,
    KeyUsedUp,
)
from server.domain.temp_keys import (
    AccessMethod,
    AccessMode,
    Claim,
    Door,
    KeyStatus,
    TempKey,
    check_door_opens_by_tap,
    check_guest,
    check_key,
    check_window,
    claim_for_same_tap,
    status_of,
)

FROM = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
UNTIL = FROM + timedelta(days=2)
INSIDE = FROM + timedelta(hours=1)
TICK = timedelta(milliseconds=1)
YEAR = timedelta(days=365)

STATUS_OF = {
    KeyRevoked: KeyStatus.REVOKED,
    KeyNotYetValid: KeyStatus.NOT_YET_VALID,
    KeyExpired: KeyStatus.EXPIRED,
    KeyUsedUp: KeyStatus.USED_UP,
}


def key_with(**fields: object) -> TempKey:
    """A public key for one door, good at ``INSIDE`` unless told otherwise."""
    key = TempKey(
        uuid="6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11",
        org_id="org",
        created_by="test",
        created_at=FROM - timedelta(days=1),
        valid_from=FROM,
        valid_until=UNTIL,
        doors=[door_with()],
    )
    return msgspec.structs.replace(key, **fields)


def door_with(number: int = 1, access_method: AccessMethod = AccessMethod.KEY) -> Door:
    return Door(id=number, lock_id=17, lock_uuid="lock", access_method=access_method)


def claim_with(command_id: str = "first", door_id: int = 1, at: datetime = INSIDE) -> Claim:
    return Claim(
        command_id=command_id,
        door_id=door_id,
        lock_id=17,
        at=at,
        expires_at=at + timedelta(seconds=8),
    )


def refusal(check: Callable[[], None]) -> type[KeyRefused] | None:
    try:
        check()
    except KeyRefused as refused:
        return type(refused)
    return None


near_the_window = st.datetimes(
    min_value=FROM.replace(tzinfo=None) - timedelta(days=3),
    max_value=UNTIL.replace(tzinfo=None) + timedelta(days=3),
    timezones=st.just(UTC),
) | st.sampled_from([FROM - TICK, FROM, FROM + TICK, UNTIL - TICK, UNTIL, UNTIL + TICK])

any_key = st.builds(
    key_with,
    revoked_at=st.none() | near_the_window,
    valid_from=near_the_window,
    valid_until=near_the_window,
    max_uses=st.none() | st.integers(1, 3),
    used_count=st.integers(0, 5),
)


# The window, uses and revocation


def test_a_key_is_good_at_the_first_instant_of_its_window():
    check_key(key_with(), FROM)


def test_a_key_is_not_yet_valid_just_before_its_window():
    with pytest.raises(KeyNotYetValid) as refused:
        check_key(key_with(), FROM - TICK)
    assert refused.value.valid_from == FROM


def test_a_key_is_good_until_just_before_the_end_of_its_window():
    check_key(key_with(), UNTIL - TICK)


def test_a_key_has_expired_at_the_end_of_its_window():
    with pytest.raises(KeyExpired) as refused:
        check_key(key_with(), UNTIL)
    assert refused.value.valid_until == UNTIL


def test_a_key_with_a_use_left_is_good():
    check_key(key_with(max_uses=2, used_count=1), INSIDE)


@pytest.mark.parametrize("used_count", [2, 3])
def test_a_key_without_a_use_left_is_used_up(used_count: int):
    with pytest.raises(KeyUsedUp):
        check_key(key_with(max_uses=2, used_count=used_count), INSIDE)


def test_a_key_without_a_limit_is_never_used_up():
    check_key(key_with(max_uses=None, used_count=10**9), INSIDE)


def test_a_revoked_key_is_refused():
    with pytest.raises(KeyRevoked):
        check_key(key_with(revoked_at=INSIDE), INSIDE)


def test_that_a_key_was_revoked_is_said_before_all_else():
    spent = key_with(revoked_at=FROM, max_uses=1, used_count=1)
    assert refusal(lambda: check_key(spent, FROM - TICK)) is KeyRevoked
    assert refusal(lambda: check_key(spent, UNTIL)) is KeyRevoked


def test_the_window_is_looked_at_before_the_uses():
    spent = key_with(max_uses=1, used_count=1)
    assert refusal(lambda: check_key(spent, FROM - TICK)) is KeyNotYetValid
    assert refusal(lambda: check_key(spent, UNTIL)) is KeyExpired
    assert refusal(lambda: check_key(spent, INSIDE)) is KeyUsedUp


@given(key=any_key, now=near_the_window)
def test_a_key_passes_exactly_when_it_is_live_in_its_window_and_not_used_up(
    key: TempKey, now: datetime
):
    good = (
        key.revoked_at is None
        and key.valid_from <= now < key.valid_until
        and (key.max_uses is None or key.used_count < key.max_uses)
    )
    assert (refusal(lambda: check_key(key, now)) is None) is good


@given(key=any_key, now=near_the_window)
def test_the_status_agrees_with_the_check_for_every_key_at_every_instant(
    key: TempKey, now: datetime
):
    refused = refusal(lambda: check_key(key, now))
    expected = KeyStatus.VALID if refused is None else STATUS_OF[refused]
    assert status_of(key, now) is expected


@given(key=any_key, now=near_the_window, hours=st.integers(-12, 12))
def test_an_instant_written_with_another_offset_is_the_same_instant(
    key: TempKey, now: datetime, hours: int
):
    elsewhere = now.astimezone(timezone(timedelta(hours=hours)))
    assert status_of(key, elsewhere) is status_of(key, now)


# Windows that no key may have


def test_a_window_of_one_millisecond_is_accepted():
    check_window(FROM, FROM + TICK, FROM)


@pytest.mark.parametrize("length", [timedelta(0), -TICK, -YEAR])
def test_a_window_must_end_after_it_begins(length: timedelta):
    with pytest.raises(InvalidInput, match="later than validFrom") as refused:
        check_window(FROM, FROM + length, FROM - YEAR)
    assert refused.value.field == "validUntil"


def test_a_window_that_ends_now_is_in_the_past():
    with pytest.raises(InvalidInput, match="in the past"):
        check_window(FROM, UNTIL, UNTIL)


def test_a_window_that_began_long_ago_but_is_not_over_is_accepted():
    check_window(FROM, UNTIL, UNTIL - TICK)


def test_a_window_of_five_years_is_accepted():
    check_window(FROM, FROM.replace(year=FROM.year + 5), FROM)


def test_a_window_of_more_than_five_years_is_refused():
    with pytest.raises(InvalidInput, match="five years"):
        check_window(FROM, FROM.replace(year=FROM.year + 5) + timedelta(days=5), FROM)


@given(
    valid_from=st.datetimes(timezones=st.just(UTC)),
    valid_until=st.datetimes(timezones=st.just(UTC)),
    now=st.datetimes(timezones=st.just(UTC)),
)
def test_every_window_that_is_accepted_has_an_instant_at_which_the_key_is_good(
    valid_from: datetime, valid_until: datetime, now: datetime
):
    try:
        check_window(valid_from, valid_until, now)
    except InvalidInput:
        return
    key = key_with(valid_from=valid_from, valid_until=valid_until)
    assert status_of(key, max(now, valid_from)) is KeyStatus.VALID


# Repeated taps


def test_the_first_tap_repeats_nothing():
    assert claim_for_same_tap(key_with(), 1, "first", INSIDE) is None


def test_a_tap_with_the_same_attempt_repeats_its_claim_however_late():
    claim = claim_with("same")
    key = key_with(claims=[claim])
    assert claim_for_same_tap(key, 1, "same", INSIDE + timedelta(hours=1)) is claim


def test_a_second_tap_just_within_three_seconds_counts_as_the_first():
    claim = claim_with()
    key = key_with(claims=[claim])
    just_within = INSIDE + timedelta(seconds=3) - TICK
    assert claim_for_same_tap(key, 1, "second", just_within) is claim


def test_a_tap_three_seconds_later_is_a_new_one():
    key = key_with(claims=[claim_with()])
    assert claim_for_same_tap(key, 1, "second", INSIDE + timedelta(seconds=3)) is None


def test_a_tap_on_another_door_is_a_new_one():
    key = key_with(claims=[claim_with(door_id=1)])
    assert claim_for_same_tap(key, 2, "second", INSIDE) is None


def test_an_attempt_finds_its_own_claim_among_others_of_its_door():
    own = claim_with("own", at=INSIDE + timedelta(seconds=10))
    key = key_with(claims=[claim_with("older"), own, claim_with("elsewhere", door_id=2)])
    assert claim_for_same_tap(key, 1, "own", INSIDE + timedelta(seconds=11)) is own


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
def test_a_tap_with_an_attempt_of_its_own_is_never_taken_for_another(first: bool, second: bool):
    key = key_with(claims=[msgspec.structs.replace(claim_with("first"), marked=first)])
    assert claim_for_same_tap(key, 1, "second", INSIDE, marked=second) is None


# Guests and doors


@pytest.mark.parametrize("guest", [Guest(), Guest(user_id="anna")])
def test_whoever_has_the_link_may_use_a_public_key(guest: Guest):
    check_guest(key_with(access_mode=AccessMode.PUBLIC), guest)


def test_a_guest_whom_a_personal_key_names_may_use_it():
    personal = key_with(access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=["anna", "bo"])
    check_guest(personal, Guest(user_id="bo"))


@pytest.mark.parametrize("guest", [Guest(), Guest(user_id=""), Guest(user_id="Anna")])
def test_a_guest_whom_a_personal_key_does_not_name_may_not(guest: Guest):
    personal = key_with(access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=["anna"])
    with pytest.raises(GuestNotAllowed):
        check_guest(personal, guest)


@given(names=st.lists(st.text(max_size=3), max_size=3), name=st.none() | st.text(max_size=3))
def test_a_personal_key_is_for_exactly_the_guests_that_it_names(names: list[str], name: str | None):
    personal = key_with(access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=names)
    try:
        check_guest(personal, Guest(user_id=name))
    except GuestNotAllowed:
        assert name not in names
    else:
        assert name in names


@pytest.mark.parametrize("method", [AccessMethod.KEY, AccessMethod.BOTH])
def test_a_door_that_opens_by_tap_is_opened_by_a_tap(method: AccessMethod):
    check_door_opens_by_tap(door_with(access_method=method))


def test_a_door_that_needs_a_code_is_not_opened_by_a_tap():
    with pytest.raises(DoorNeedsCode):
        check_door_opens_by_tap(door_with(access_method=AccessMethod.CODE))


def test_a_door_is_found_by_its_number():
    second = door_with(2)
    assert key_with(doors=[door_with(1), second]).door(2) is second


@pytest.mark.parametrize("number", [-1, 0, 3, 2**63])
def test_a_number_that_no_door_has_is_not_found(number: int):
    with pytest.raises(DoorNotFound):
        key_with(doors=[door_with(1), door_with(2)]).door(number)


def test_the_first_door_to_slide_passes_over_doors_that_need_a_code():
    doors = [door_with(1, AccessMethod.CODE), door_with(2, AccessMethod.BOTH), door_with(3)]
    assert key_with(doors=doors).first_door_to_slide() is doors[1]


def test_a_key_of_doors_that_all_need_a_code_has_no_door_to_slide():
    doors = [door_with(1, AccessMethod.CODE), door_with(2, AccessMethod.CODE)]
    with pytest.raises(DoorNeedsCode):
        key_with(doors=doors).first_door_to_slide()
