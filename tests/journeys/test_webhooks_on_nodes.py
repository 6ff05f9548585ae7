"""Webhooks with several nodes on one MongoDB, and receivers that are in each other's way."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from msgspec import structs
from tornado.ioloop import IOLoop

from server.app import open_services
from server.bus.embedded_nats import EmbeddedNats
from server.domain.webhooks import NewWebhook
from server.services.webhook_sending import SecretUnreadable
from server.settings import Secret, Settings
from server.storage.mongo import Database
from tests.conftest import WEBHOOK_SECRET
from tests.house import Device, House, another_node, until
from tests.receiver import Received, Receiver

HOOKS = 4
ROUNDS = 4
A_MOMENT_S = 0.01


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    async def start() -> Receiver:
        return Receiver()

    receiver = io_loop.run_sync(start)
    yield receiver
    io_loop.run_sync(receiver.close)


async def slow(_: Received) -> int:
    """Whoever sends the same at the same time is caught at it."""
    await asyncio.sleep(A_MOMENT_S)
    return 200


async def subscribe(house: House, url: str) -> None:
    page = await house.manage("POST", "/webhooks", {"url": url, "events": ["KeyAdded"]})
    assert page.status == 201


async def add_keys(house: House, device: Device, first: int, last: int) -> None:
    for number in range(first, last):
        key = {"keyUuid": f"{device.lock_id}-{number}"}
        await house.manage("POST", f"/locks/{device.lock_id}/AddKey", key)


async def lease_holders(database: Database) -> set[str]:
    """The nodes that deliver, once there is one for every webhook."""

    async def all_are_held() -> list[str] | None:
        held = [document async for document in database["webhooks"].find({"lease": {"$ne": None}})]
        return [each["lease"]["nodeId"] for each in held] if len(held) == HOOKS else None

    return set(await until(all_are_held))


class TestNodes:
    """Nodes that deliver, beside one that only takes requests: it has no secret to sign with."""

    @pytest.fixture
    def delivering(self, settings: Settings) -> Settings:
        return structs.replace(settings, webhook_secret=Secret(WEBHOOK_SECRET))

    @pytest.fixture
    def settings(self, settings: Settings, nats_server: EmbeddedNats) -> Settings:
        return structs.replace(
            settings,
            webhook_secret=None,
            nats_url=Secret(nats_server.url),
            nats_prefix=settings.mongodb_database,
        )

    async def test_nodes_that_come_and_go_never_send_an_event_at_the_same_time(
        self,
        house: House,
        receiver: Receiver,
        delivering: Settings,
        mongodb_uri: str,
        database: Database,
    ):
        receiver.answer = slow
        devices = [await house.device() for _ in range(3)]
        leaving = open_services(another_node(delivering), mongodb_uri)
        node = await leaving.__aenter__()
        for hook in range(HOOKS):
            wanted = NewWebhook(url=f"{receiver.url}/{hook}", events=["KeyAdded"])
            await node.webhooks.create(house.operator, wanted)
        holders = await lease_holders(database)
        for number in range(ROUNDS):
            coming = open_services(another_node(delivering), mongodb_uri)
            await coming.__aenter__()
            adding = [add_keys(house, each, 5 * number, 5 * number + 5) for each in devices]
            await asyncio.gather(leaving.__aexit__(None, None, None), *adding)
            holders |= await lease_holders(database)
            leaving = coming
        count = HOOKS * len(devices) * 5 * ROUNDS
        received = await receiver.until_received("KeyAdded", count)
        await leaving.__aexit__(None, None, None)
        assert len(holders) == 1 + ROUNDS
        assert receiver.met == []
        assert len(received) == count
        for hook in range(HOOKS):
            for device in devices:
                keys = [
                    got.data["keyUuid"]
                    for got in received
                    if got.path == f"/{hook}" and got.data["lockId"] == device.lock_id
                ]
                assert keys == [f"{device.lock_id}-{key}" for key in range(5 * ROUNDS)]

    @pytest.mark.expects_log("webhook_secret_unreadable")
    async def test_under_another_secret_events_wait_until_the_webhook_gets_a_new_one(
        self, house: House, receiver: Receiver, delivering: Settings, mongodb_uri: str
    ):
        device = await house.device()
        wanted = NewWebhook(url=receiver.url, events=["KeyAdded"])
        async with open_services(another_node(delivering), mongodb_uri) as node:
            webhook = (await node.webhooks.create(house.operator, wanted)).webhook
        other_secret = structs.replace(delivering, webhook_secret=Secret(WEBHOOK_SECRET[::-1]))
        async with open_services(another_node(other_secret), mongodb_uri) as node:
            await add_keys(house, device, 0, 1)
            with pytest.raises(SecretUnreadable):
                await node.webhooks.test(house.operator, webhook.id)
            assert receiver.received == []
            rotated = await node.webhooks.rotate_secret(
                house.operator, webhook.id, timedelta(hours=1)
            )
            [got] = await receiver.until_received("KeyAdded")
        got.verify(rotated.secret)


async def test_a_receiver_that_hangs_delays_nobody_else(house: House, receiver: Receiver):
    let_go = asyncio.Event()

    async def hang(got: Received) -> int:
        if got.path == "/hangs":
            await let_go.wait()
        return 200

    receiver.answer = hang
    device = await house.device()
    await subscribe(house, f"{receiver.url}/hangs")
    await subscribe(house, f"{receiver.url}/quick")
    await add_keys(house, device, 0, 10)

    async def quick_has_all() -> bool:
        return [got.path for got in receiver.received].count("/quick") == 10

    await until(quick_has_all)
    assert [got.path for got in receiver.received].count("/hangs") == 1
    let_go.set()
