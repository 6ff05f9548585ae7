"""Links are fetched by chat previews and mail scanners: GET, HEAD and OPTIONS change nothing."""

import re
from datetime import timedelta

import bson
import pytest
from msgspec import structs

from handlers.routes import ROUTES
from server import clock
from server.domain.commands import CommandState, OpenCommand
from server.domain.temp_keys import Claim
from server.domain.webhooks import NewWebhook, WebhookStatus, WebhookUpdate
from server.storage.command_store import CommandStore
from server.storage.mongo import Database
from server.storage.temp_key_store import TempKeyStore
from tests.house import House, until

KEPT_UP_BY_THE_NODE = {"nodes"}
"""A node renews its own lease every few seconds, whoever asks for what."""


async def dump(database: Database) -> dict[str, list[bytes]]:
    """Every document of every collection, byte for byte."""
    return {
        name: [bson.encode(document) async for document in database[name].find().sort("_id", 1)]
        for name in sorted(await database.list_collection_names())
        if name not in KEPT_UP_BY_THE_NODE
    }


async def everything_is_told(database: Database) -> bool:
    """Whether the events of all that happened are written and numbered.

    The server does so on its own, after it has answered.
    """
    waiting = [
        await database["commands"].count_documents({"untold": True}),
        await database["reports"].count_documents({"untold": True}),
        await database["locks"].count_documents({"presenceChanges.0": {"$exists": True}}),
        await database["events"].count_documents({"position": {"$in": [None, 0]}}),
    ]
    return not any(waiting)


async def nothing_is_delivered(database: Database) -> bool:
    """Whether no node works for a webhook: one that does writes down how far it has come."""
    return await database["webhooks"].count_documents({"lease": {"$exists": True}}) == 0


async def furnish(house: House, database: Database) -> dict[str, str]:
    """A house in which something is under way, and what stands for it in paths."""
    lock = await house.lock()

    async def measured() -> object:
        shown = await house.manage("GET", f"/locks/{lock.lock_id}")
        return shown.json()["telemetry"]

    async with lock.connected():
        await lock.report(battery=55)
        await until(measured)
    await house.until_offline(lock)
    key = await house.key(lock, max_uses=3)
    revoked = await house.key(lock)
    await house.services.temp_keys.revoke(house.operator, revoked.uuid)
    now = clock.now()
    under_way = OpenCommand(
        id="under-way",
        org_id=house.organization.id,
        lock_id=lock.lock_id,
        requested_at=now,
        expires_at=now + timedelta(hours=1),
        temp_key_uuid=key.uuid,
        door_id=1,
        offline=True,
    )
    commands = CommandStore(database)
    await commands.insert(under_way)
    await commands.insert(structs.replace(under_way, id="done", state=CommandState.OPENED))
    claim = Claim(
        command_id="under-way",
        door_id=1,
        lock_id=lock.lock_id,
        at=now,
        expires_at=under_way.expires_at,
    )
    await TempKeyStore(database).claim_use(key.uuid, claim)
    wanted = NewWebhook(url="http://127.0.0.1:9/", events=["*"])
    webhook = (await house.services.webhooks.create(house.operator, wanted)).webhook
    off = WebhookUpdate(status=WebhookStatus.DISABLED)
    await house.services.webhooks.update(house.operator, webhook.id, off)
    await until(lambda: everything_is_told(database))
    await until(lambda: nothing_is_delivered(database))
    return {
        "{key_uuid}": key.uuid,
        "{lock_id}": str(lock.lock_id),
        "{door_id}": "1",
        "{command_id}": "done",
        "{webhook_id}": webhook.id,
    }


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_asking_for_any_route_leaves_the_whole_database_as_it_is(
    house: House, database: Database, method: str
):
    stands_for = await furnish(house, database)
    before = await dump(database)
    assert {"commands", "locks", "tempKeys"} <= set(before)
    for path, _ in ROUTES:
        where = path
        for name, value in stands_for.items():
            where = where.replace(name, value)
        where = re.sub(r"\{\w+\}", "1", where)
        for query in ("", f"?door=1&offline=true&command=done&lockId={stands_for['{lock_id}']}"):
            if path.endswith("/stream") and not query:
                continue  # it would go on as long as the opening does
            await house.fetch(where + query, method, Accept="text/html")
            await house.manage(method, where + query)
            assert await dump(database) == before, (method, where + query)


async def test_the_dump_sees_a_change(house: House, database: Database):
    stands_for = await furnish(house, database)
    before = await dump(database)
    await house.manage("DELETE", f"/temp-keys/{stands_for['{key_uuid}']}")
    assert await dump(database) != before
