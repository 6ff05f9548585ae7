"""Previews, crawlers and prefetching browsers at a server that runs: nothing changes."""

from server.storage.mongo import Database
from tests.conftest import WEBHOOK_SECRET
from tests.faults.processes import Site
from tests.handlers.furnished import ask_in_every_way, dump, furnish, until_measured


async def test_asking_a_server_for_any_route_leaves_the_whole_database_as_it_is(
    site: Site, database: Database
) -> None:
    await site.server.start(webhook_secret=WEBHOOK_SECRET, webhook_loopback="true")
    lock = await site.lock_online(battery=55)
    await until_measured(site, lock)
    key, revoked = await site.key(lock, max_uses=3), await site.key(lock)
    await lock.kill()
    paths = await furnish(site, database, lock, key, revoked)
    before = await dump(database)
    for path in paths:
        for method in ("GET", "HEAD", "OPTIONS"):
            await ask_in_every_way(site, method, path, lock)
        assert await dump(database) == before, path
