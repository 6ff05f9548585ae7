"""The delivery log, and the locks that lag behind."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from server.domain.errors import ChangedMeanwhile, DeliveryNotFound, DeliveryWaiting
from server.domain.webhooks import (
    MOST_ATTEMPTS_KEPT,
    Attempt,
    Delivery,
    DeliveryState,
    LaggingLock,
    SealedSecret,
    Webhook,
)
from server.storage.delivery_store import DeliveryStore, LaggingLockStore
from server.storage.mongo import Database

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
FAILED = Attempt(at=NOW, ms=3, status=500, answer="no")
TAKEN = Attempt(at=NOW + SECOND, ms=2, status=200)
HOOK = Webhook(
    id="hook",
    org_id="org",
    url="https://partner.example/",
    events=["*"],
    secrets=[SealedSecret(sealed=b"")],
    created_at=NOW,
    updated_at=NOW,
    cursor=0,
    fence=5,
)
LAG = LaggingLock(lock_id=17, after=3, tries=1, due_at=NOW)


@pytest.fixture
def log(database: Database) -> DeliveryStore:
    return DeliveryStore(database)


@pytest.fixture
def lags(database: Database) -> LaggingLockStore:
    return LaggingLockStore(database)


def delivery(state: DeliveryState, number: int = 1) -> Delivery:
    return Delivery(
        id=f"hook-{number}",
        webhook_id="hook",
        event_id=f"event-{number}",
        lock_id=17,
        version=number,
        type="LockOnline",
        state=state,
        attempts=[],
        created_at=NOW + number * SECOND,
        next_try_at=NOW + SECOND if state is DeliveryState.WAITING else None,
    )


async def test_a_delivery_keeps_its_attempts_and_when_it_began(log: DeliveryStore):
    waiting = await log.record(delivery(DeliveryState.WAITING), FAILED)
    assert waiting.next_try_at == NOW + SECOND
    later = structs.replace(delivery(DeliveryState.DELIVERED), created_at=NOW + 60 * SECOND)
    done = await log.record(later, TAKEN)
    assert done.attempts == [FAILED, TAKEN]
    assert (done.state, done.next_try_at) == (DeliveryState.DELIVERED, None)
    assert done.created_at == NOW + SECOND
    assert await log.list_of("hook", 10) == [done]


async def test_only_the_latest_attempts_are_kept(log: DeliveryStore):
    for number in range(MOST_ATTEMPTS_KEPT + 5):
        attempt = structs.replace(FAILED, ms=number)
        await log.record(delivery(DeliveryState.FAILED), attempt)
    [kept] = await log.list_of("hook", 10)
    assert [attempt.ms for attempt in kept.attempts] == list(range(5, MOST_ATTEMPTS_KEPT + 5))


async def test_what_is_over_is_told_from_what_waits(log: DeliveryStore):
    await log.record(delivery(DeliveryState.WAITING, 1), FAILED)
    await log.record(delivery(DeliveryState.FAILED, 2), FAILED)
    await log.record(delivery(DeliveryState.DELIVERED, 3), TAKEN)
    assert await log.over([f"hook-{n}" for n in range(5)]) == {"hook-2", "hook-3"}


async def test_the_newest_come_first_page_by_page_and_by_state(log: DeliveryStore):
    for number in range(1, 5):
        state = DeliveryState.FAILED if number % 2 else DeliveryState.DELIVERED
        await log.record(delivery(state, number), FAILED)
    first = await log.list_of("hook", 3)
    rest = await log.list_of("hook", 3, None, (first[-1].created_at, first[-1].id))
    assert [one.version for one in (*first, *rest)] == [4, 3, 2, 1]
    failed = await log.list_of("hook", 10, DeliveryState.FAILED)
    assert [one.version for one in failed] == [3, 1]
    assert await log.list_of("other", 10) == []


async def test_of_many_who_send_it_again_at_once_one_does(log: DeliveryStore):
    await log.record(delivery(DeliveryState.FAILED), FAILED)
    tries = [log.claim_again("hook-1", "hook", 30 * SECOND) for _ in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert len([one for one in results if isinstance(one, Delivery)]) == 1
    assert len([one for one in results if isinstance(one, DeliveryWaiting)]) == 19
    await log.record(delivery(DeliveryState.FAILED), FAILED)
    assert await log.claim_again("hook-1", "hook", 30 * SECOND)


async def test_what_waits_or_is_not_there_is_not_sent_again(log: DeliveryStore):
    await log.record(delivery(DeliveryState.WAITING), FAILED)
    with pytest.raises(DeliveryWaiting):
        await log.claim_again("hook-1", "hook", SECOND)
    with pytest.raises(DeliveryNotFound):
        await log.claim_again("hook-1", "other", SECOND)


async def test_a_lagging_lock_is_kept_until_it_has_caught_up(lags: LaggingLockStore):
    await lags.save(HOOK, LAG)
    further = structs.replace(LAG, after=9, tries=0)
    await lags.save(HOOK, further)
    assert await lags.list_of("hook") == [further]
    await lags.remove(HOOK, 17)
    assert await lags.count("hook") == 0


async def test_a_node_that_lost_its_lease_changes_no_lagging_lock(lags: LaggingLockStore):
    earlier = structs.replace(HOOK, fence=4)
    await lags.save(HOOK, LAG)
    with pytest.raises(ChangedMeanwhile):
        await lags.save(earlier, structs.replace(LAG, after=100))
    with pytest.raises(ChangedMeanwhile):
        await lags.remove(earlier, 17)
    assert await lags.list_of("hook") == [LAG]


async def test_all_that_wait_can_be_made_due(lags: LaggingLockStore):
    await lags.save(HOOK, structs.replace(LAG, due_at=NOW + 60 * SECOND))
    await lags.save(HOOK, structs.replace(LAG, lock_id=18, due_at=NOW - SECOND))
    await lags.make_due("hook", NOW)
    assert sorted(lag.due_at for lag in await lags.list_of("hook")) == [NOW - SECOND, NOW]
