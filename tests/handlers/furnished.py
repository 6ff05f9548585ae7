"""An organisation in which all sorts of things are under way, and all that is stored of it."""

import re
from datetime import timedelta

import bson
from msgspec import structs

from handlers.routes import ROUTES
from server import clock
from server.domain.commands import CommandState, OpenCommand
from server.domain.temp_keys import Claim
from server.storage.command_store import CommandStore
from server.storage.mongo import Database
from server.storage.temp_key_store import TempKeyStore
from tests.house import HasLockId, HasUuid, People, until

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


async def until_measured(people: People, lock: HasLockId) -> None:
    """Wait until what a lock has reported is shown."""

    async def measured() -> object:
        return (await people.manage("GET", f"/locks/{lock.lock_id}")).json()["telemetry"]

    await until(measured)


async def furnish(
    people: People, database: Database, lock: HasLockId, key: HasUuid, revoked: HasUuid
) -> list[str]:
    """Let something be under way at a lock that has reported, and is just going offline.

    It has a ``key`` of three uses, and one that is ``revoked`` here.

    Returns:
        A path for each route, with something in it that is there.
    """
    await people.until_offline(lock)
    await people.manage("DELETE", f"/temp-keys/{revoked.uuid}")
    stored = await database["locks"].find_one({"_id": lock.lock_id})
    assert stored is not None
    now = clock.now()
    under_way = OpenCommand(
        id="under-way",
        org_id=stored["orgId"],
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
    wanted = {"url": "http://127.0.0.1:9/", "events": ["*"]}
    webhook_id = (await people.manage("POST", "/webhooks", wanted)).json()["id"]
    await people.manage("PATCH", f"/webhooks/{webhook_id}", {"status": "disabled"})
    await until(lambda: everything_is_told(database))
    await until(lambda: nothing_is_delivered(database))
    stands_for = {
        "{key_uuid}": key.uuid,
        "{lock_id}": str(lock.lock_id),
        "{door_id}": "1",
        "{command_id}": "done",
        "{webhook_id}": webhook_id,
    }
    return [_filled_in(path, stands_for) for path, _ in ROUTES]


def _filled_in(path: str, stands_for: dict[str, str]) -> str:
    for name, value in stands_for.items():
        path = path.replace(name, value)
    return re.sub(r"\{\w+\}", "1", path)


async def ask_in_every_way(people: People, method: str, path: str, lock: HasLockId) -> None:
    """Ask for a path as anybody and as its operator, with a query and without."""
    for query in ("", f"?door=1&offline=true&command=done&lockId={lock.lock_id}"):
        if path.endswith("/stream") and not query:
            continue  # it would go on as long as the opening does
        await people.fetch(path + query, method, Accept="text/html")
        await people.manage(method, path + query)
