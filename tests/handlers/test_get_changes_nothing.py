"""Links are fetched by chat previews and mail scanners: GET, HEAD and OPTIONS change nothing."""

import pytest

from server.storage.mongo import Database
from tests.handlers.furnished import ask_in_every_way, dump, furnish, until_measured
from tests.house import HasLockId, HasUuid, House


async def lived_in(house: House, database: Database) -> tuple[HasLockId, HasUuid, list[str]]:
    """A lock of the house with things under way, its key, and a path for each route."""
    lock = await house.lock()
    async with lock.connected():
        await lock.report(battery=55)
        await until_measured(house, lock)
    key, revoked = await house.key(lock, max_uses=3), await house.key(lock)
    return lock, key, await furnish(house, database, lock, key, revoked)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_asking_for_any_route_leaves_the_whole_database_as_it_is(
    house: House, database: Database, method: str
):
    lock, _, paths = await lived_in(house, database)
    before = await dump(database)
    assert {"commands", "locks", "tempKeys"} <= set(before)
    for path in paths:
        await ask_in_every_way(house, method, path, lock)
        assert await dump(database) == before, (method, path)


async def test_the_dump_sees_a_change(house: House, database: Database):
    _, key, _ = await lived_in(house, database)
    before = await dump(database)
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    assert await dump(database) != before
