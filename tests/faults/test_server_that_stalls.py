"""A server that stands still: it says so itself, as soon as it can speak again."""

import asyncio

from tests.faults.processes import Site
from tests.house import until


async def test_a_server_that_stood_still_is_not_ready_when_it_can_speak_again(site: Site) -> None:
    await site.server.start()

    async def ready() -> bool:
        return (await site.fetch("/health/ready")).status == 200

    await until(ready)
    await site.server.freeze()
    await asyncio.sleep(3)
    site.server.thaw()
    health = (await site.fetch("/health")).json()
    assert not await ready()
    assert (health["status"], health["eventLoop"]["ok"]) == ("degraded", False)
    assert health["eventLoop"]["latencyMs"] > 2000
