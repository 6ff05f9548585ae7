"""Webhooks as an organisation manages them."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs
from tornado.ioloop import IOLoop

from server.domain.webhooks import MOST_WEBHOOKS
from server.settings import Settings
from server.storage.mongo import Database
from tests.handlers.asking import Callers
from tests.house import House, Page
from tests.receiver import Receiver

RECEIVER = "http://127.0.0.1:9/hook"
"""Nobody listens there."""


@pytest.fixture
def callers(io_loop: IOLoop, house: House) -> Callers:
    return io_loop.run_sync(lambda: Callers.of(house))


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    async def start() -> Receiver:
        return Receiver()

    receiver = io_loop.run_sync(start)
    yield receiver
    io_loop.run_sync(receiver.close)


async def create(house: House, **wanted: Any) -> Page:
    return await house.manage("POST", "/webhooks", {"url": RECEIVER, "events": ["*"], **wanted})


async def test_a_new_webhook_shows_its_secret_this_once(house: House):
    created = await create(house, events=["LockOpened"], description="Billing")
    webhook = created.json()
    secret = webhook.pop("secret")
    assert created.status == 201
    assert secret.startswith("whsec_")
    assert (webhook["url"], webhook["events"], webhook["status"]) == (
        RECEIVER,
        ["LockOpened"],
        "active",
    )
    shown = await house.manage("GET", f"/webhooks/{webhook['id']}")
    assert shown.json() == webhook
    assert (await house.manage("GET", "/webhooks")).json() == {"webhooks": [webhook]}


async def test_the_secret_is_nowhere_in_the_database(house: House, database: Database):
    webhook = (await create(house)).json()
    rotated = await house.manage("POST", f"/webhooks/{webhook['id']}/rotate-secret", {})
    stored = str([document async for document in database["webhooks"].find()])
    for secret in (webhook["secret"], rotated.json()["secret"]):
        assert secret not in stored
        assert secret.removeprefix("whsec_") not in stored


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"events": ["LockOpened", "lockOpened"]}, "events[1]"),
        ({"events": []}, "events"),
        ({"events": "*"}, "events"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"url": "https://10.0.0.1/"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "url"),
        ({"url": "https://partner.invalid/"}, "url"),
        ({"url": "https://me:pw@127.0.0.1/"}, "url"),
        ({"url": 7}, "url"),
    ],
)
async def test_what_cannot_be_subscribed_to_is_refused_by_its_field(
    house: House, wanted: dict[str, Any], field: str
):
    refused = await create(house, **wanted)
    webhook = (await create(house)).json()
    changed = await house.manage("PATCH", f"/webhooks/{webhook['id']}", wanted)
    for page in (refused, changed):
        assert (page.status, page.json()["reason"]) == (400, "invalid_input")
        assert page.json()["message"].startswith(f"{field}: ")


async def test_a_webhook_is_changed_in_what_is_sent_and_in_nothing_else(house: House):
    webhook = (await create(house, description="Billing")).json()
    path = f"/webhooks/{webhook['id']}"
    await house.manage("PATCH", path, {"events": ["LockOpened"]})
    await house.manage("PATCH", path, {"description": None})
    changed = (await house.manage("PATCH", path, {"status": "disabled"})).json()
    assert changed["events"] == ["LockOpened"]
    assert changed["description"] is None
    assert changed["status"] == "disabled"
    assert changed["url"] == RECEIVER
    assert (await house.manage("GET", path)).json() == changed


async def test_a_removed_webhook_is_gone(house: House):
    path = f"/webhooks/{(await create(house)).json()['id']}"
    assert (await house.manage("DELETE", path)).status == 200
    for method in ("GET", "DELETE"):
        page = await house.manage(method, path)
        assert (page.status, page.json()["reason"]) == (404, "webhook_not_found")


async def test_an_organisation_has_only_so_many(house: House):
    for _ in range(MOST_WEBHOOKS):
        assert (await create(house, events=["LockTampered"])).status == 201
    refused = await create(house)
    assert (refused.status, refused.json()["reason"]) == (409, "too_many_webhooks")


async def test_webhooks_are_for_organisations(house: House, callers: Callers):
    path = f"/webhooks/{(await create(house)).json()['id']}"
    for who, status in (("other organisation", 404), ("owner", 403), ("super", 403)):
        assert (await callers.ask(who, "GET", path)).status == status, who
        assert (await callers.ask(who, "POST", f"{path}/test")).status == status, who
    mine = await callers.ask("other organisation", "GET", "/webhooks")
    assert mine.json() == {"webhooks": []}


async def test_a_test_delivery_says_what_the_receiver_answered(house: House, receiver: Receiver):
    webhook = (await create(house, url=receiver.url, events=["LockOpened"])).json()
    path = f"/webhooks/{webhook['id']}"
    await house.manage("PATCH", path, {"status": "disabled"})
    taken = (await house.manage("POST", f"{path}/test")).json()
    [got] = receiver.received
    got.verify(webhook["secret"])
    assert (taken["status"], taken["error"]) == (204, None)
    assert got.data["webhookId"] == webhook["id"]
    await receiver.close()
    refused = (await house.manage("POST", f"{path}/test")).json()
    assert (refused["status"], refused["error"]) == (None, "connection refused")


async def test_only_a_delivery_that_is_there_can_be_sent_again(house: House):
    path = f"/webhooks/{(await create(house)).json()['id']}/deliveries"
    page = await house.manage("POST", f"{path}/none/redeliver")
    assert (page.status, page.json()["reason"]) == (404, "delivery_not_found")
    assert (await house.manage("GET", path)).json() == {"deliveries": []}


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "after=x", "state=lost"])
async def test_a_query_past_its_limits_is_refused(house: House, query: str):
    path = f"/webhooks/{(await create(house)).json()['id']}/deliveries"
    assert (await house.manage("GET", f"{path}?{query}")).status == 400


async def test_deliveries_come_in_pages(house: House, receiver: Receiver):
    device = await house.device()
    webhook = (await create(house, url=receiver.url, events=["KeyAdded"])).json()
    for n in range(5):
        key = {"keyUuid": f"fob-{n}"}
        await house.manage("POST", f"/locks/{device.lock_id}/AddKey", key)
    await receiver.until_received("KeyAdded", 5)
    url: str | None = f"/webhooks/{webhook['id']}/deliveries?limit=2"
    versions: list[int] = []
    while url is not None:
        page = await house.manage("GET", url)
        versions += [delivery["version"] for delivery in page.json()["deliveries"]]
        link = page.response.headers.get("Link")
        url = None if link is None else link[1 : link.index(">")]
    assert versions == sorted(versions, reverse=True)
    assert len(versions) in (4, 5)  # the last may not be written down yet


class TestWithoutASecret:
    """A server that has no secret to seal webhooks' secrets with."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return structs.replace(settings, webhook_secret=None)

    async def test_there_are_no_webhooks(self, house: House):
        refused = await create(house)
        assert (refused.status, refused.json()["reason"]) == (503, "webhooks_off")
        assert "Retry-After" not in refused.response.headers
        assert (await house.manage("GET", "/webhooks")).json() == {"webhooks": []}
