"""Temp keys in a real MongoDB: a use is taken once, and given back once, whoever asks at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from server.domain.errors import ChangedMeanwhile, TempKeyNotFound
from server.domain.refusals import (
    KeyExpired,
    KeyNotYetValid,
    KeyRefused,
    KeyRevoked,
    KeyUsedUp,
)
from server.domain.temp_keys import Claim, Door, TempKey, check_key
from server.storage.mongo import Database
from server.storage.temp_key_store import TempKeyStore

FROM = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
UNTIL = FROM + timedelta(days=1)
INSIDE = FROM + timedelta(hours=1)
TICK = timedelta(milliseconds=1)
KEY = "6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11"


@pytest.fixture
def keys(database: Database) -> TempKeyStore:
    return TempKeyStore(database)


def key_with(uuid: str = KEY, **fields: Any) -> TempKey:
    key = TempKey(
        uuid=uuid,
        org_id="org",
        created_by="test",
        created_at=FROM,
        valid_from=FROM,
        valid_until=UNTIL,
        doors=[Door(id=1, lock_id=17, lock_uuid="u"), Door(id=2, lock_id=18, lock_uuid="v")],
    )
    return msgspec.structs.replace(key, **fields)


def claim_with(
    command_id: str = "c1", at: datetime = INSIDE, door_id: int = 1, marked: bool = True
) -> Claim:
    return Claim(
        command_id=command_id,
        door_id=door_id,
        lock_id=17,
        at=at,
        expires_at=at + timedelta(seconds=8),
        marked=marked,
    )


async def try_claim(keys: TempKeyStore, claim: Claim) -> Claim | type[KeyRefused]:
    try:
        return (await keys.claim_use(KEY, claim)).claim
    except KeyRefused as refused:
        return type(refused)


# Keeping keys


async def test_a_key_is_found_as_it_was_stored(keys: TempKeyStore):
    key = key_with(description="For Anna", max_uses=3, allowed_user_ids=["anna"])
    await keys.insert(key)
    assert await keys.find(KEY) == key


@pytest.mark.parametrize("uuid", ["", "nowhere", "\x00", KEY.upper()])
async def test_a_key_that_does_not_exist_is_not_found(keys: TempKeyStore, uuid: str):
    await keys.insert(key_with())
    with pytest.raises(TempKeyNotFound):
        await keys.find(uuid)


async def test_an_organisations_keys_are_listed_newest_first(keys: TempKeyStore):
    await keys.insert(key_with("old", created_at=FROM))
    await keys.insert(key_with("new", created_at=FROM + TICK))
    await keys.insert(key_with("foreign", org_id="another org"))
    assert [key.uuid for key in await keys.list_of_organization("org")] == ["new", "old"]


async def test_the_keys_of_a_lock_are_those_with_a_door_of_it(keys: TempKeyStore):
    await keys.insert(key_with("both"))
    await keys.insert(key_with("other", doors=[Door(id=1, lock_id=17, lock_uuid="u")]))
    assert [key.uuid for key in await keys.list_of_lock(18, "org")] == ["both"]
    assert await keys.list_of_lock(18, "another org") == []


async def test_the_keys_that_somebody_issued_are_theirs_only(keys: TempKeyStore):
    await keys.insert(key_with("old", created_by="anna", created_at=FROM))
    await keys.insert(key_with("new", created_by="anna", created_at=FROM + TICK))
    await keys.insert(key_with("other", created_by="bo"))
    assert [key.uuid for key in await keys.list_made_by("anna")] == ["new", "old"]


async def test_a_key_is_revoked_once_and_keeps_when_that_was(keys: TempKeyStore):
    await keys.insert(key_with())
    await keys.revoke(KEY, "org", INSIDE)
    with pytest.raises(ChangedMeanwhile):
        await keys.revoke(KEY, "org", INSIDE + TICK)
    assert (await keys.find(KEY)).revoked_at == INSIDE


async def test_of_many_who_revoke_at_once_one_does(keys: TempKeyStore):
    await keys.insert(key_with())
    outcomes = await asyncio.gather(
        *(keys.revoke(KEY, "org", INSIDE + number * TICK) for number in range(20)),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 1
    assert (await keys.find(KEY)).revoked_at == INSIDE + outcomes.index(None) * TICK


async def test_nobody_revokes_another_organisations_key(keys: TempKeyStore):
    await keys.insert(key_with())
    with pytest.raises(ChangedMeanwhile):
        await keys.revoke(KEY, "another org", INSIDE)
    assert (await keys.find(KEY)).revoked_at is None


# Taking uses


async def test_a_claim_takes_one_use_and_is_kept(keys: TempKeyStore):
    await keys.insert(key_with(max_uses=2))
    claim = claim_with()
    assert (await keys.claim_use(KEY, claim)).claim is claim
    stored = await keys.find(KEY)
    assert stored.used_count == 1
    assert stored.claims == [claim]


async def test_a_claim_on_a_key_that_does_not_exist_is_refused(keys: TempKeyStore):
    with pytest.raises(TempKeyNotFound):
        await keys.claim_use(KEY, claim_with())


REFUSED = [
    ({"revoked_at": FROM}, INSIDE, KeyRevoked),
    ({}, FROM - TICK, KeyNotYetValid),
    ({}, UNTIL, KeyExpired),
    ({"max_uses": 1, "used_count": 1}, INSIDE, KeyUsedUp),
    ({"max_uses": 1, "used_count": 2}, INSIDE, KeyUsedUp),
    ({"max_uses": 1, "used_count": 1, "revoked_at": FROM}, UNTIL, KeyRevoked),
]


@pytest.mark.parametrize(("fields", "at", "refusal"), REFUSED)
async def test_a_key_that_must_not_be_used_gives_no_use(
    keys: TempKeyStore, fields: dict[str, Any], at: datetime, refusal: type[KeyRefused]
):
    key = key_with(**fields)
    await keys.insert(key)
    with pytest.raises(refusal):
        await keys.claim_use(KEY, claim_with(at=at))
    assert await keys.find(KEY) == key


async def test_the_database_takes_a_use_exactly_when_the_rule_says_so(keys: TempKeyStore):
    number = 0
    for revoked_at in (None, FROM):
        for max_uses, used_count in ((None, 0), (None, 7), (1, 0), (2, 1), (1, 1), (1, 2)):
            for at in (FROM - TICK, FROM, INSIDE, UNTIL - TICK, UNTIL):
                number += 1
                key = key_with(
                    f"key-{number}",
                    revoked_at=revoked_at,
                    max_uses=max_uses,
                    used_count=used_count,
                )
                await keys.insert(key)
                try:
                    check_key(key, at)
                    expected = None
                except KeyRefused as refused:
                    expected = type(refused)
                try:
                    await keys.claim_use(key.uuid, claim_with(at=at))
                    taken = None
                except KeyRefused as refused:
                    taken = type(refused)
                assert taken is expected, (key, at)


async def test_a_key_without_a_limit_gives_as_many_uses_as_are_asked_for(keys: TempKeyStore):
    await keys.insert(key_with(max_uses=None))
    await asyncio.gather(*(keys.claim_use(KEY, claim_with(f"c{n}")) for n in range(50)))
    assert (await keys.find(KEY)).used_count == 50


async def test_of_fifty_taps_at_once_on_the_last_use_one_gets_it(keys: TempKeyStore):
    await keys.insert(key_with(max_uses=3, used_count=2))
    answers = await asyncio.gather(*(try_claim(keys, claim_with(f"c{n}")) for n in range(50)))
    [won] = [answer for answer in answers if isinstance(answer, Claim)]
    assert answers.count(KeyUsedUp) == 49
    stored = await keys.find(KEY)
    assert stored.used_count == 3
    assert stored.claims == [won]


async def test_fifty_taps_at_once_take_no_more_uses_than_there_are(keys: TempKeyStore):
    await keys.insert(key_with(max_uses=7))
    answers = await asyncio.gather(*(try_claim(keys, claim_with(f"c{n}")) for n in range(50)))
    assert answers.count(KeyUsedUp) == 43
    assert (await keys.find(KEY)).used_count == 7


# Repeated taps


async def test_the_same_attempt_takes_one_use_however_often_it_is_repeated(keys: TempKeyStore):
    await keys.insert(key_with())
    answers = await asyncio.gather(
        *(keys.claim_use(KEY, claim_with("same", INSIDE + n * TICK)) for n in range(20))
    )
    assert len({msgspec.json.encode(answer.claim) for answer in answers}) == 1
    stored = await keys.find(KEY)
    assert stored.used_count == 1
    assert stored.claims == [answers[0].claim]


async def test_the_same_attempt_is_known_again_after_the_last_use_was_taken(keys: TempKeyStore):
    await keys.insert(key_with(max_uses=1))
    first = await keys.claim_use(KEY, claim_with("same"))
    again = await keys.claim_use(KEY, claim_with("same", INSIDE + timedelta(minutes=1)))
    assert again.claim == first.claim
    assert again.use_number is None


async def test_two_taps_without_an_attempt_within_three_seconds_are_one(keys: TempKeyStore):
    await keys.insert(key_with())
    first = await keys.claim_use(KEY, claim_with("c1", marked=False))
    within = INSIDE + timedelta(seconds=3) - TICK
    assert (await keys.claim_use(KEY, claim_with("c2", within, marked=False))).claim == first.claim
    assert (await keys.find(KEY)).used_count == 1


async def test_two_taps_without_an_attempt_three_seconds_apart_are_two(keys: TempKeyStore):
    await keys.insert(key_with())
    await keys.claim_use(KEY, claim_with("c1", marked=False))
    second = claim_with("c2", INSIDE + timedelta(seconds=3), marked=False)
    assert (await keys.claim_use(KEY, second)).claim is second
    assert (await keys.find(KEY)).used_count == 2


async def test_two_taps_on_two_doors_are_two(keys: TempKeyStore):
    await keys.insert(key_with())
    await keys.claim_use(KEY, claim_with("c1", door_id=1, marked=False))
    second = claim_with("c2", door_id=2, marked=False)
    assert (await keys.claim_use(KEY, second)).claim is second


@pytest.mark.parametrize(("first", "second"), [(True, True), (True, False), (False, True)])
async def test_two_guests_who_tap_at_once_with_attempts_of_their_own_are_two(
    keys: TempKeyStore, first: bool, second: bool
):
    await keys.insert(key_with())
    await keys.claim_use(KEY, claim_with("c1", marked=first))
    theirs = claim_with("c2", marked=second)
    assert (await keys.claim_use(KEY, theirs)).claim is theirs


async def test_many_taps_without_an_attempt_at_once_take_one_use(keys: TempKeyStore):
    await keys.insert(key_with())
    answers = await asyncio.gather(
        *(keys.claim_use(KEY, claim_with(f"c{n}", marked=False)) for n in range(30))
    )
    assert len({answer.claim.command_id for answer in answers}) == 1
    assert (await keys.find(KEY)).used_count == 1


# Giving uses back


async def test_a_use_that_is_given_back_can_be_taken_again(keys: TempKeyStore):
    await keys.insert(key_with(max_uses=1))
    await keys.claim_use(KEY, claim_with("c1"))
    await keys.give_use_back(KEY, "c1")
    again = claim_with("c2")
    assert (await keys.claim_use(KEY, again)).claim is again


async def test_a_use_is_given_back_exactly_once_however_many_say_so_at_once(keys: TempKeyStore):
    await keys.insert(key_with(used_count=5))
    await keys.claim_use(KEY, claim_with("c1"))
    await asyncio.gather(*(keys.give_use_back(KEY, "c1") for _ in range(20)))
    stored = await keys.find(KEY)
    assert (stored.used_count, stored.claims) == (5, [])


async def test_of_two_uses_only_the_one_that_is_meant_is_given_back(keys: TempKeyStore):
    await keys.insert(key_with())
    await keys.claim_use(KEY, claim_with("c1"))
    kept = await keys.claim_use(KEY, claim_with("c2"))
    await keys.give_use_back(KEY, "c1")
    stored = await keys.find(KEY)
    assert (stored.used_count, stored.claims) == (1, [kept.claim])


async def test_a_use_that_was_never_taken_is_not_given_back(keys: TempKeyStore):
    await keys.insert(key_with(used_count=1))
    await keys.give_use_back(KEY, "never")
    await keys.give_use_back("no such key", "never")
    assert (await keys.find(KEY)).used_count == 1


async def test_a_use_that_is_settled_stays_counted(keys: TempKeyStore):
    await keys.insert(key_with())
    await keys.claim_use(KEY, claim_with("c1"))
    await keys.settle_claims([(KEY, "c1")])
    await keys.give_use_back(KEY, "c1")
    stored = await keys.find(KEY)
    assert (stored.used_count, stored.claims) == (1, [])


async def test_settling_and_giving_back_at_once_leave_one_truth(keys: TempKeyStore):
    await keys.insert(key_with())
    for number in range(20):
        before = (await keys.find(KEY)).used_count
        await keys.claim_use(KEY, claim_with(f"c{number}"))
        await asyncio.gather(
            keys.settle_claims([(KEY, f"c{number}")]), keys.give_use_back(KEY, f"c{number}")
        )
        stored = await keys.find(KEY)
        assert stored.claims == []
        assert stored.used_count - before in (0, 1)


# Claims that ran out


async def test_keys_with_a_claim_that_ran_out_are_found(keys: TempKeyStore):
    for name, at in (("early", INSIDE), ("late", INSIDE + timedelta(minutes=1))):
        await keys.insert(key_with(name))
        await keys.claim_use(name, claim_with(at=at))
    await keys.insert(key_with("unused"))
    ran_out = INSIDE + timedelta(seconds=8)
    assert await keys.find_with_claims_before(ran_out, 10) == []
    found = await keys.find_with_claims_before(ran_out + TICK, 10)
    assert [key.uuid for key in found] == ["early"]


async def test_no_more_keys_with_claims_are_found_than_are_wanted(keys: TempKeyStore):
    for name in "abc":
        await keys.insert(key_with(name))
        await keys.claim_use(name, claim_with())
    assert len(await keys.find_with_claims_before(UNTIL, 2)) == 2
