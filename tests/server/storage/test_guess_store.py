"""Wrong tries in a real MongoDB: whatever comes at once, and from whichever node, is counted."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from server.domain.guesses import PINS_OF_ADDRESS, PINS_OF_LOCK, Allowance
from server.domain.refusals import TooManyTries
from server.storage.guess_store import GuessStore
from server.storage.mongo import Database

NOW = datetime(2099, 11, 22, 21, 14, tzinfo=UTC)  # MongoDB itself deletes what is over
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def guesses(database: Database) -> GuessStore:
    return GuessStore(database)


async def takes(
    guesses: GuessStore, subject: str, now: datetime, allowance: Allowance = PINS_OF_LOCK
) -> bool:
    try:
        await guesses.take(subject, allowance, now)
    except TooManyTries:
        return False
    return True


async def test_five_tries_are_looked_at_and_the_sixth_waits_out_the_minute(guesses: GuessStore):
    looked_at = [await takes(guesses, "lock", NOW + n * SECOND) for n in range(6)]
    assert looked_at == [True] * 5 + [False]
    assert not await takes(guesses, "lock", NOW + 63 * SECOND)
    assert await takes(guesses, "lock", NOW + 64 * SECOND)


async def test_lockouts_double_across_restarts(database: Database):
    now, waits = NOW, list[timedelta]()
    for _ in range(6):
        guesses = GuessStore(database)  # another node, or this one after a restart
        for _ in range(5):
            await guesses.take("lock", PINS_OF_LOCK, now)
        with pytest.raises(TooManyTries) as refused:
            await guesses.take("lock", PINS_OF_LOCK, now)
        waits.append(refused.value.retry_after)
        now += refused.value.retry_after
    assert waits == [n * MINUTE for n in (1, 2, 4, 8, 15, 15)]


async def test_of_many_at_once_on_two_nodes_only_the_allowance_is_looked_at(database: Database):
    nodes = [GuessStore(database), GuessStore(database)]
    tries = [takes(nodes[n % 2], "lock", NOW + timedelta(milliseconds=n)) for n in range(100)]
    assert sum(await asyncio.gather(*tries)) == 5


async def test_each_lock_and_each_address_is_counted_for_itself(guesses: GuessStore):
    for _ in range(5):
        assert await takes(guesses, "lock 7", NOW)
    assert not await takes(guesses, "lock 7", NOW)
    assert await takes(guesses, "lock 8", NOW)
    looked_at = [await takes(guesses, "address", NOW, PINS_OF_ADDRESS) for _ in range(21)]
    assert looked_at == [True] * 20 + [False]


async def test_tries_that_were_right_are_not_counted(guesses: GuessStore):
    for n in range(20):
        at = NOW + n * SECOND
        assert await takes(guesses, "lock", at)
        await guesses.give_back("lock", PINS_OF_LOCK, at)


async def test_right_ones_do_not_hide_wrong_ones(guesses: GuessStore):
    for n in range(5):
        assert await takes(guesses, "lock", NOW + n * SECOND)
        right = NOW + n * SECOND + SECOND / 2
        if n < 4:
            assert await takes(guesses, "lock", right)
            await guesses.give_back("lock", PINS_OF_LOCK, right)
    assert not await takes(guesses, "lock", NOW + 6 * SECOND)


async def test_many_right_ones_at_once_leave_nothing_behind(guesses: GuessStore):
    async def right(n: int) -> None:
        at = NOW + n * timedelta(milliseconds=1)
        if await takes(guesses, "lock", at):
            await guesses.give_back("lock", PINS_OF_LOCK, at)

    await asyncio.gather(*(right(n) for n in range(40)))
    assert [await takes(guesses, "lock", NOW + SECOND) for _ in range(6)] == [True] * 5 + [False]


async def test_nothing_is_given_back_where_nothing_was_taken(
    guesses: GuessStore, database: Database
):
    await guesses.give_back("lock", PINS_OF_LOCK, NOW)
    assert await database["guesses"].count_documents({}) == 0


async def test_mongodb_itself_forgets_what_does_not_count_any_more(
    guesses: GuessStore, database: Database
):
    for n in range(5):
        await guesses.take("lock", PINS_OF_LOCK, NOW + n * SECOND)
    document = await database["guesses"].find_one({"_id": "lock"})
    assert document is not None
    assert document["forgetAt"] == NOW + 4 * SECOND + MINUTE + timedelta(hours=1)
    indexes = await database["guesses"].index_information()
    forgetting = [index for index in indexes.values() if "expireAfterSeconds" in index]
    assert [(index["key"], index["expireAfterSeconds"]) for index in forgetting] == [
        ([("forgetAt", 1)], 0)
    ]
