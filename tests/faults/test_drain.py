"""A server that is told to stop: nobody new, what was begun is finished, and all are sent away."""

import asyncio
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from tests.faults.processes import Locks, Site
from tests.house import command_id_of, until
from tests.journeys.bare_lock import BareConnection, BareLock


async def slow_opening(site: Site) -> tuple[Locks, str]:
    """A lock whose bolt takes a while, in the middle of an opening; where the guest is sent."""
    lock = await site.locks()
    await lock.start(site.url, faults="slow-bolt=3")
    await site.until_online(lock)
    tapped = await site.tap_open(await site.key(lock, max_uses=1))
    await site.until_state(command_id_of(tapped), "accepted")
    return lock, tapped.location


async def until_draining(site: Site) -> None:
    async def not_ready() -> bool:
        return (await site.fetch("/health/ready")).status == 503

    await until(not_ready)


async def test_an_opening_in_flight_ends_well_and_its_guest_hears_so_before_the_server_ends(
    site: Site,
) -> None:
    await site.server.start(command_life_s="8")
    lock, confirmation = await slow_opening(site)
    page = urlsplit(confirmation)
    stream = asyncio.create_task(site.fetch(f"{page.path}/stream?{page.query}"))
    site.server.ask_to_end()
    await until_draining(site)
    site.server.ask_to_end()  # who asks twice does not break it
    told = await stream
    status = await site.server.exit_status()
    opened = lock.openings()
    await site.server.start()
    command, *others = await site.commands_of(lock)
    assert told.status == 200
    assert "The door is open" in told.html.get_text()
    assert status == 0
    assert (command["state"], others) == ("opened", [])
    assert [step["state"] for step in command["history"]] == [
        "queued",
        "sent",
        "accepted",
        "opened",
    ]
    assert opened == [command["id"]]


async def test_while_it_drains_a_server_lives_but_lets_no_locks_in(site: Site) -> None:
    await site.server.start(command_life_s="8")
    await slow_opening(site)
    another = (await site.locks()).all[0]
    site.server.ask_to_end()
    await until_draining(site)
    live = await site.fetch("/health/live")
    knock = await site.fetch(
        f"/locks/{another.lock_id}/connect", Authorization=f"Bearer {another.token}"
    )
    assert live.status == 200
    assert knock.status == 503
    assert int(knock.response.headers["Retry-After"]) >= 1
    assert await site.server.exit_status() == 0


async def test_locks_are_sent_away_one_after_the_other_and_shown_as_drained(site: Site) -> None:
    await site.server.start(connects_a_second="10")
    devices = (await site.locks(10)).all
    async with AsyncExitStack() as online:
        connections: list[BareConnection] = []
        for device in devices:
            lock = BareLock(site.url, device)
            connections.append(await online.enter_async_context(lock.online()))
        closings = [asyncio.create_task(connection.closed()) for connection in connections]
        site.server.ask_to_end()
        first, others = await asyncio.wait(closings, return_when=asyncio.FIRST_COMPLETED)
        codes = await asyncio.gather(*closings)
    status = await site.server.exit_status()
    await site.server.start()
    reasons = {(await site.connection(device))["offlineReason"] for device in devices}
    assert len(first) < len(others)
    assert (set(codes), status, reasons) == ({1012}, 0, {"drained"})
