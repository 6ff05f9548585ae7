"""Two servers on one MongoDB and one NATS: any of them serves any guest, and any lock."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import structs
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.netutil import bind_sockets

from server.app import make_app, open_services
from server.bus.embedded_nats import EmbeddedNats
from server.domain.errors import LockOffline
from server.domain.lock_requests import OpenLock, WriteKey
from server.settings import Secret, Settings
from server.storage.mongo import Database
from tests.house import House, command_id_of, until
from tests.journeys.bare_lock import BareLock
from tests.journeys.stream import following
from tests.traces import context_of, traced


class Town(NamedTuple):
    """One organisation, as it is seen at either of two nodes."""

    here: House
    there: House


@asynccontextmanager
async def node(settings: Settings, mongodb_uri: str, folder: Path) -> AsyncIterator[House]:
    """A node on a port of its own, with an organisation."""
    async with open_services(settings, mongodb_uri) as services:
        [socket] = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(make_app(services))
        server.add_sockets([socket])
        try:
            url = f"http://127.0.0.1:{socket.getsockname()[1]}"
            yield await House.build(services, url, folder)
        finally:
            server.stop()
            await server.close_all_connections()


@asynccontextmanager
async def two_nodes(settings: Settings, mongodb_uri: str, folder: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        houses = [
            await stack.enter_async_context(
                node(structs.replace(settings, node_name=name), mongodb_uri, folder / name)
            )
            for name in ("here", "there")
        ]
        here, other = houses
        there = House(other.services, other.url, folder / "there", here.organization, here.api_key)
        for house in (other, there, here):
            stack.push_async_callback(house.close)
        for house in houses:
            await until(lambda house=house: well(house))
        yield Town(here, there)


async def well(house: House) -> bool:
    return (await house.services.health.check()).status == "ok"


@pytest.fixture
def town(
    io_loop: IOLoop,
    mongodb_uri: str,
    nats_server: EmbeddedNats,
    settings: Settings,
    database: Database,
    tmp_path: Path,
) -> Iterator[Town]:
    settings = structs.replace(
        settings, nats_url=Secret(nats_server.url), nats_prefix=settings.mongodb_database
    )
    running = two_nodes(settings, mongodb_uri, tmp_path)
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


# Openings


async def test_a_guest_at_one_node_opens_a_lock_that_hangs_on_the_other(town: Town):
    lock = await town.there.lock()
    async with lock.connected():
        tapped = await town.here.tap_open(await town.here.key(lock))
        command = await town.here.until_state(command_id_of(tapped), "opened")
    assert [step["state"] for step in command["history"]] == [
        "queued",
        "sent",
        "accepted",
        "opened",
    ]


async def test_the_guests_page_at_one_node_follows_a_lock_on_the_other(town: Town):
    device = await town.there.device()
    async with BareLock(town.there.url, device).online() as connection:
        tapped = await town.here.tap_open(await town.here.key(device))
        command = await connection.hear("command")
        page = await town.here.visit(tapped.location)
        async with following(town.here, page) as stream:
            first = await stream.next()
            await connection.result(command["id"], "accepted")
            second = await stream.next()
            await connection.result(command["id"], "opened")
            third = await stream.next()
    assert (first, second, third) == ("sent", "accepted", "opened")


async def test_a_lock_that_comes_back_at_another_node_gets_what_waits_for_it(town: Town):
    lock = await town.there.lock()
    key = await town.here.key(lock)
    tapped = await town.here.tap_open(key)
    offline = await town.here.command(command_id_of(tapped))
    async with lock.connected():
        await town.here.until_state(command_id_of(tapped), "opened")
    assert offline["offline"] is True


async def test_a_lock_that_nobody_holds_is_offline_at_every_node(town: Town):
    lock = await town.there.lock()
    for house in town:
        with pytest.raises(LockOffline):
            await house.services.operator_opening.open(house.operator, lock.lock_id, OpenLock())


# One session for each lock


async def test_the_newest_connection_wins_wherever_the_older_one_is(town: Town):
    device = await town.here.device()
    async with (
        BareLock(town.here.url, device).online() as old,
        BareLock(town.there.url, device).online() as new,
    ):
        assert await old.closed() == 4000
        assert await new.still_answers()
        assert (await town.here.connection(device))["online"] is True


# What changes at one node is heard at the other


async def test_a_credential_that_is_replaced_ends_connections_at_every_node(town: Town):
    device = await town.here.device()
    lock = BareLock(town.there.url, device)
    async with lock.online() as live, lock.connection() as silent:
        await town.here.manage("POST", f"/locks/{device.lock_id}/credentials", {})
        assert await live.closed() == 4001
        assert await silent.closed() == 4001
    connection = await town.here.until_offline(device)
    assert connection["offlineReason"] == "credentialRevoked"


async def test_a_change_of_a_lock_reaches_its_session_at_another_node(town: Town):
    device = await town.there.device()
    async with BareLock(town.there.url, device).online() as connection:
        await town.here.manage("PATCH", f"/locks/{device.lock_id}", {"openForSeconds": 9})
        await town.here.tap_open(await town.here.key(device))
        assert (await connection.hear("command"))["openForSeconds"] == 9


async def test_a_key_for_a_lock_is_written_from_any_node(town: Town):
    device = await town.there.device()
    async with BareLock(town.there.url, device).connection() as connection:
        await connection.hello(capabilities=["keys"])
        wanted = WriteKey(key_uuid="card", key_index_number=3)
        await town.here.services.lock_commands.write_key(town.here.operator, device.lock_id, wanted)
        frame = await connection.hear("key")
    assert (frame["action"], frame["keyUuid"]) == ("write", "card")


# Health


async def test_each_node_says_how_many_locks_are_online_at_both(town: Town):
    lock = await town.there.lock()
    async with lock.connected():
        healths = [(await house.fetch("/health")).json() for house in town]
    assert [health["locksOnline"] for health in healths] == [1, 1]
    assert [health["locksOnlineHere"] for health in healths] == [0, 1]
    parts = [health[part] for health in healths for part in ("mongodb", "nats", "eventLoop")]
    assert all(part["ok"] and part["latencyMs"] >= 0 for part in parts)


# Traces


async def test_an_opening_is_one_trace_from_the_tap_to_the_bolt_over_both_nodes(town: Town):
    with traced() as seen:
        lock = await town.there.lock()
        async with lock.connected():
            tapped = await town.here.tap_open(await town.here.key(lock))
            opened = await seen.until("until opened")
    tap = "POST OpenDoor"
    trace_id = context_of(opened).trace_id
    of_trace = [span for span in seen.spans if context_of(span).trace_id == trace_id]
    assert sorted(seen.path(span) for span in of_trace) == [
        [tap],
        [tap, "ask the lock's node"],
        [tap, "ask the lock's node", "act for another node"],
        [tap, "claim a use"],
        [tap, "until accepted"],
        [tap, "until opened"],
        [tap, "until sent"],
    ]
    assert opened.attributes is not None
    assert opened.attributes["latchkey.command"] == command_id_of(tapped)


async def test_a_command_that_waited_for_its_lock_is_in_the_trace_of_its_tap(town: Town):
    with traced() as seen:
        lock = await town.there.lock()
        tapped = await town.here.tap_open(await town.here.key(lock))
        async with lock.connected():
            await town.here.until_state(command_id_of(tapped), "opened")
            opened = await seen.until("until opened")
    assert seen.path(opened) == ["POST OpenDoor", "until opened"]
