"""A partner subscribes, and misses no event: signed, in order for each lock, tried again."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import WebhookVerificationError
from tornado.ioloop import IOLoop

from server.storage.mongo import Database
from tests.house import Device, House, until
from tests.receiver import Received, Receiver, taken

TOKEN = "s3cret-of-the-partner"
FAR_AWAY = datetime(2100, 1, 1, tzinfo=UTC)
TRIES = 4
"""What ``webhook_retries_s`` of the tests comes to."""


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    async def start() -> Receiver:
        return Receiver()

    receiver = io_loop.run_sync(start)
    yield receiver
    io_loop.run_sync(receiver.close)


async def subscribe(house: House, receiver: Receiver, *events: str) -> dict[str, Any]:
    """A webhook for these events."""
    body = {"url": f"{receiver.url}/hook?token={TOKEN}", "events": events or ["*"]}
    page = await house.manage("POST", "/webhooks", body)
    assert page.status == 201, page.json()
    return page.json()


async def add_keys(house: House, device: Device, *keys: str) -> None:
    for key in keys:
        page = await house.manage("POST", f"/locks/{device.lock_id}/AddKey", {"keyUuid": key})
        assert page.status == 200


async def deliveries(house: House, webhook: dict[str, Any], query: str = "") -> list[Any]:
    """The delivery log, newest first."""
    page = await house.manage("GET", f"/webhooks/{webhook['id']}/deliveries{query}")
    return page.json()["deliveries"]


async def until_logged(
    house: House, webhook: dict[str, Any], state: str, count: int = 1
) -> list[Any]:
    async def look() -> list[Any] | None:
        found = await deliveries(house, webhook, f"?state={state}")
        return found if len(found) >= count else None

    return await until(look)


def keys_in(received: list[Received]) -> list[str]:
    return [got.data["keyUuid"] for got in received]


async def test_an_event_arrives_in_the_apis_envelope_and_signed(house: House, receiver: Receiver):
    device = await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    await add_keys(house, device, "fob")
    [got] = await receiver.until_received("KeyAdded")
    got.verify(webhook["secret"])
    assert got.path == "/hook"
    assert got.headers["content-type"] == "application/json"
    assert set(got.event) == {
        "id", "source", "detail-type", "time", "region", "account", "version", "resources", "detail"
    }  # fmt: skip
    assert got.headers["webhook-id"] == got.event["id"]
    [replayed] = (await house.manage("GET", "/events?type=KeyAdded")).json()["events"]
    detail = got.event["detail"]
    assert got.event["id"] == replayed["id"]
    assert detail["data"] == {"type": "KeyAdded", **replayed["event"]}
    assert (detail["aggregateType"], detail["version"]) == ("lock", replayed["version"])
    assert detail["aggregateId"] == replayed["event"]["uuid"]
    assert detail["partnerId"] == house.organization.id


async def test_a_webhook_gets_what_it_asks_for_from_now_on(house: House, receiver: Receiver):
    device = await house.device()
    await add_keys(house, device, "before")
    await until(lambda: everything_has_its_place(house))
    await subscribe(house, receiver, "KeyAdded")
    await house.manage("POST", f"/locks/{device.lock_id}/SetOwner", {"userId": "ann"})
    await add_keys(house, device, "after")
    await receiver.until_received("KeyAdded")
    assert [got.event["detail-type"] for got in receiver.received] == ["KeyAdded"]
    assert keys_in(receiver.received) == ["after"]


async def everything_has_its_place(house: House) -> bool:
    page = await house.manage("GET", "/events?type=KeyAdded")
    return len(page.json()["events"]) == 1


async def test_an_event_that_is_not_taken_is_sent_again_the_same(house: House, receiver: Receiver):
    statuses = iter([500, 404, 0, 200])

    async def in_the_end(_: Received) -> int:
        return next(statuses)

    receiver.answer = in_the_end
    device = await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    await add_keys(house, device, "fob")
    got = await receiver.until_received("KeyAdded", TRIES)
    [logged] = await until_logged(house, webhook, "delivered")
    assert len({(each.headers["webhook-id"], each.body) for each in got}) == 1
    assert [attempt["status"] for attempt in logged["attempts"]] == [500, 404, None, 200]
    assert logged["attempts"][2]["error"] == "the connection broke"
    for each in got:
        each.verify(webhook["secret"])


async def test_later_events_of_the_lock_wait_and_other_locks_go_on(
    house: House, receiver: Receiver
):
    door_is_shut = True

    async def refuse_one(got: Received) -> int:
        return 503 if got.data["keyUuid"] == "one-0" and door_is_shut else 200

    receiver.answer = refuse_one
    one, two = await house.device(), await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    await add_keys(house, one, "one-0", "one-1", "one-2")
    await add_keys(house, two, "two-0", "two-1")

    async def other_lock_is_served() -> bool:
        return keys_in(receiver.received).count("two-1") == 1

    await until(other_lock_is_served)
    assert not {"one-1", "one-2"} & set(keys_in(receiver.received))
    door_is_shut = False
    await until_logged(house, webhook, "delivered", 5)
    in_order = [key for key in keys_in(receiver.received) if key.startswith("one")]
    assert list(dict.fromkeys(in_order)) == ["one-0", "one-1", "one-2"]
    assert Counter(in_order)["one-1"] == 1


@pytest.mark.expects_log("webhook_delivery_failed")
async def test_after_the_last_try_an_event_is_parked_and_the_next_goes_on(
    house: House, receiver: Receiver, caplog: pytest.LogCaptureFixture
):
    async def refuse_one(got: Received) -> int:
        return 500 if got.data["keyUuid"] == "poison" else 200

    receiver.answer = refuse_one
    receiver.words = b"no\x00 such <b>thing</b>\n"
    device = await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    await add_keys(house, device, "poison", "next")
    [failed] = await until_logged(house, webhook, "failed")
    await until_logged(house, webhook, "delivered")
    assert keys_in(receiver.received) == ["poison"] * TRIES + ["next"]
    assert failed["nextTryAt"] is None
    assert failed["attempts"][0]["answer"] == "no such <b>thing</b>"
    assert "webhook_delivery_failed" in caplog.text
    assert TOKEN not in caplog.text
    assert webhook["secret"] not in caplog.text


@pytest.mark.expects_log("webhook_delivery_failed")
async def test_what_failed_can_be_sent_again_by_hand(house: House, receiver: Receiver):
    async def refuse(_: Received) -> int:
        return 500

    receiver.answer = refuse
    device = await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    await add_keys(house, device, "fob")
    [failed] = await until_logged(house, webhook, "failed")
    path = f"/webhooks/{webhook['id']}/deliveries/{failed['id']}/redeliver"
    assert (await house.manage("POST", path)).json()["state"] == "failed"
    receiver.words = b""
    receiver.answer = taken
    again = await house.manage("POST", path)
    assert again.json()["state"] == "delivered"
    assert len(again.json()["attempts"]) == TRIES + 2
    assert len({got.body for got in receiver.received}) == 1


@pytest.mark.expects_log("webhook_gone")
async def test_a_receiver_that_is_gone_gets_nothing_more_until_it_is_switched_on_again(
    house: House, receiver: Receiver
):
    async def gone(_: Received) -> int:
        return 410

    receiver.answer = gone
    device = await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    await add_keys(house, device, "one", "two")

    async def is_off() -> dict[str, Any] | None:
        shown = (await house.manage("GET", f"/webhooks/{webhook['id']}")).json()
        return shown if shown["status"] == "disabled" else None

    shown = await until(is_off)
    assert shown["disabledReason"] == "gone"
    assert keys_in(receiver.received) == ["one"]

    async def told() -> list[Any]:
        return (await house.manage("GET", "/events?type=WebhookDisabled")).json()["events"]

    [event] = await until(told)
    assert event["event"]["webhookId"] == webhook["id"]
    assert event["aggregateId"] == str(device.lock_id)

    receiver.answer = taken
    await house.manage("PATCH", f"/webhooks/{webhook['id']}", {"status": "active"})
    await until_logged(house, webhook, "delivered", 2)
    assert keys_in(receiver.received) == ["one", "one", "two"]


async def test_while_a_secret_is_replaced_both_sign(house: House, receiver: Receiver):
    device = await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    path = f"/webhooks/{webhook['id']}/rotate-secret"
    rotated = (await house.manage("POST", path, {"overlapHours": 1})).json()
    await add_keys(house, device, "fob")
    [got] = await receiver.until_received("KeyAdded")
    got.verify(webhook["secret"])
    assert (await house.manage("POST", f"/webhooks/{webhook['id']}/test")).status == 200
    [both] = receiver.of_type("WebhookTest")
    both.verify(webhook["secret"])
    both.verify(rotated["secret"])
    last = (await house.manage("POST", path, {"overlapHours": 0})).json()
    assert (await house.manage("POST", f"/webhooks/{webhook['id']}/test")).status == 200
    [_, test] = receiver.of_type("WebhookTest")
    test.verify(last["secret"])
    for old in (webhook["secret"], rotated["secret"]):
        with pytest.raises(WebhookVerificationError):
            test.verify(old)


async def test_an_event_of_a_lock_in_trouble_is_sent_at_once_when_the_webhook_is_switched_on(
    house: House, receiver: Receiver, database: Database
):
    async def refuse(_: Received) -> int:
        return 503

    receiver.answer = refuse
    device = await house.device()
    webhook = await subscribe(house, receiver, "KeyAdded")
    path = f"/webhooks/{webhook['id']}"
    await add_keys(house, device, "fob")
    await until_logged(house, webhook, "waiting")
    await house.manage("PATCH", path, {"status": "disabled"})
    receiver.answer = taken
    await database["webhookLags"].update_many({}, {"$set": {"dueAt": FAR_AWAY}})
    assert (await house.manage("GET", path)).json()["locksWaiting"] == 1
    await house.manage("PATCH", path, {"status": "active"})
    await until_logged(house, webhook, "delivered")
