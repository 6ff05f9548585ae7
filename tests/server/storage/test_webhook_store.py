"""Webhooks in the database: one node at a time delivers, and a late one changes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from server.domain.errors import ChangedMeanwhile, WebhookNotFound
from server.domain.webhooks import SealedSecret, Webhook, WebhookStatus
from server.storage.mongo import Database
from server.storage.webhook_store import WebhookStore
from tests.house import until

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LEASE = timedelta(seconds=30)
A_MOMENT = timedelta(milliseconds=1)


@pytest.fixture
def webhooks(database: Database) -> WebhookStore:
    return WebhookStore(database)


def webhook(webhook_id: str = "hook") -> Webhook:
    return Webhook(
        id=webhook_id,
        org_id="org",
        url="https://partner.example/",
        events=["*"],
        secrets=[SealedSecret(sealed=b"\x00\xff")],
        created_at=NOW,
        updated_at=NOW,
        cursor=7,
        description="Billing",
    )


async def test_a_webhook_is_found_as_it_was_written_by_its_organisation_only(
    webhooks: WebhookStore,
):
    await webhooks.insert(webhook())
    assert await webhooks.find("hook", "org") == webhook()
    assert await webhooks.list_of("org") == [webhook()]
    assert await webhooks.list_of("other") == []
    for name, owner in (("hook", "other"), ("other", "org")):
        with pytest.raises(WebhookNotFound):
            await webhooks.find(name, owner)
        with pytest.raises(WebhookNotFound):
            await webhooks.delete(name, owner)


async def test_a_change_is_refused_where_somebody_was_faster(webhooks: WebhookStore):
    await webhooks.insert(webhook())
    after = structs.replace(webhook(), events=["LockOpened"], updated_at=NOW + A_MOMENT)
    other = structs.replace(webhook(), url="https://other.example/", updated_at=NOW + LEASE)
    await webhooks.save(webhook(), after)
    with pytest.raises(ChangedMeanwhile):
        await webhooks.save(webhook(), other)
    assert await webhooks.find("hook", "org") == after


async def test_what_is_taken_away_is_gone(webhooks: WebhookStore):
    await webhooks.insert(webhook())
    after = structs.replace(webhook(), description=None, updated_at=NOW + A_MOMENT)
    await webhooks.save(webhook(), after)
    assert (await webhooks.find("hook", "org")).description is None


async def test_a_change_leaves_alone_how_far_deliveries_have_come(webhooks: WebhookStore):
    await webhooks.insert(webhook())
    claimed = await webhooks.claim("hook", "node", LEASE)
    assert claimed is not None
    await webhooks.advance(claimed, 20)
    after = structs.replace(webhook(), events=["LockOpened"], updated_at=NOW + A_MOMENT)
    await webhooks.save(webhook(), after)
    found = await webhooks.find("hook", "org")
    assert (found.cursor, found.fence) == (20, 1)


# Leases


async def test_of_many_nodes_that_ask_at_once_one_gets_the_lease(webhooks: WebhookStore):
    await webhooks.insert(webhook())
    claims = await asyncio.gather(*(webhooks.claim("hook", f"n{n}", LEASE) for n in range(20)))
    assert len([claimed for claimed in claims if claimed is not None]) == 1


async def test_a_lease_that_ran_out_is_anybodys_and_its_holder_is_locked_out(
    webhooks: WebhookStore,
):
    await webhooks.insert(webhook())
    first = await webhooks.claim("hook", "one", timedelta(milliseconds=20))
    second = await until(lambda: webhooks.claim("hook", "two", LEASE))
    assert first is not None
    assert second.fence > first.fence
    assert await webhooks.renew(first, LEASE) is None
    with pytest.raises(ChangedMeanwhile):
        await webhooks.advance(first, 100)
    await webhooks.release(first)
    assert await webhooks.claim("hook", "three", LEASE) is None
    assert (await webhooks.find("hook", "org")).cursor == 7


async def test_a_lease_is_kept_by_renewing_it_and_free_when_given_back(webhooks: WebhookStore):
    await webhooks.insert(webhook())
    held = await webhooks.claim("hook", "one", LEASE)
    assert held is not None
    assert await webhooks.renew(held, LEASE) is not None
    assert await webhooks.claim("hook", "two", LEASE) is None
    await webhooks.release(held)
    assert await webhooks.claim("hook", "two", LEASE) is not None


async def test_a_cursor_never_goes_back(webhooks: WebhookStore):
    await webhooks.insert(webhook())
    held = await webhooks.claim("hook", "one", LEASE)
    assert held is not None
    await webhooks.advance(held, 20)
    await webhooks.advance(held, 10)
    assert (await webhooks.find("hook", "org")).cursor == 20


async def test_nobody_delivers_for_a_webhook_that_is_off(webhooks: WebhookStore):
    await webhooks.insert(webhook())
    held = await webhooks.claim("hook", "one", LEASE)
    assert held is not None
    await webhooks.disable("hook", "gone", NOW)
    assert await webhooks.renew(held, LEASE) is None
    await webhooks.release(held)
    assert await webhooks.claim("hook", "two", LEASE) is None
    assert await webhooks.list_active() == []
    found = await webhooks.find("hook", "org")
    assert (found.status, found.disabled_reason) == (WebhookStatus.DISABLED, "gone")
    with pytest.raises(ChangedMeanwhile):
        await webhooks.disable("hook", "gone", NOW)
