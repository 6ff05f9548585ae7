"""Nodes and NATS that fail: nothing late or doubled, and the truth told by whoever lives."""

import asyncio

from server.services.nodes import LEASE
from tests.faults.processes import Nats, Process, Server, Site, Town
from tests.faults.proxy import Proxy
from tests.house import Device, command_id_of, until
from tests.journeys.bare_lock import BareLock

# A node is killed


async def test_when_a_node_is_killed_its_guests_hear_no_answer_and_its_locks_are_soon_offline(
    town: Town,
) -> None:
    device = (await town.there.locks()).all[0]
    key = await town.here.key(device, max_uses=1)
    async with BareLock(town.there.url, device).online() as connection:
        tapped = await town.here.tap_open(key)
        await connection.hear("command")
        await town.there.server.kill()
        presence, command = await asyncio.gather(
            town.here.until_offline(device, timeout_s=LEASE.total_seconds()),
            town.here.until_state(command_id_of(tapped), "unconfirmed"),
        )
    page = await town.here.visit(tapped.location)
    assert presence["offlineReason"] == "serverLost"
    assert page.text("h1") == "No answer from the lock"
    assert [step["state"] for step in command["history"]][-1] == "unconfirmed"
    assert await town.here.used_count(key) == 1


async def test_a_lock_whose_node_was_killed_opens_at_another_one(town: Town) -> None:
    device = (await town.there.locks()).all[0]
    key = await town.here.key(device)
    async with BareLock(town.there.url, device).online():
        await town.there.server.kill()
    async with BareLock(town.here.url, device).online() as connection:
        tapped = await town.here.tap_open(key)
        command = await connection.hear("command")
        await connection.result(command["id"], "opened")
        await town.here.until_state(command_id_of(tapped), "opened")
    await town.here.until_offline(device)


# NATS is away


async def test_without_nats_a_node_opens_its_own_locks_and_says_that_others_cannot_be_reached(
    town: Town, nats: Nats
) -> None:
    mine, other = await town.here.lock_online(), await town.there.lock_online()
    key = await town.here.key(other, max_uses=1)
    await nats.kill()

    async def degraded() -> bool:
        health = await town.here.fetch("/health")
        return (health.status, health.json()["status"]) == (200, "degraded")

    await until(degraded)
    tapped = await town.here.tap_open(await town.here.key(mine))
    await town.here.until_state(command_id_of(tapped), "opened")
    refused = await town.here.tap_open(key)
    assert (refused.status, refused.text("h1")) == (503, "The lock cannot be reached")
    assert await town.here.used_count(key) == 0
    assert (await town.here.fetch("/health/ready")).status == 200
    await nats.start()
    await town.until_well()
    again = await town.here.tap_open(key)
    await town.here.until_state(command_id_of(again), "opened")
    assert other.openings() == [command_id_of(again)]


async def test_what_nats_delivers_after_it_stood_still_opens_nothing(
    town: Town, nats: Nats
) -> None:
    other = await town.there.lock_online()
    key = await town.here.key(other, max_uses=1)
    await nats.freeze()
    refused = await town.here.tap_open(key)
    nats.thaw()
    await town.until_well()
    again = await town.here.tap_open(key)
    await town.here.until_state(command_id_of(again), "opened")
    assert (refused.status, refused.text("h1")) == (503, "The lock cannot be reached")
    assert other.openings() == [command_id_of(again)]
    [_, first] = await town.here.commands_of(other)
    assert (first["state"], first["reason"]) == ("refused", "lock_unreachable")


# Both nodes think that they hold a lock


async def test_a_node_that_does_not_hear_that_it_lost_a_lock_learns_it_from_mongodb(
    town: Town, to_nats: Proxy
) -> None:
    device = (await town.there.locks()).all[0]
    async with BareLock(town.there.url, device).online() as old:
        await to_nats.keep_out()
        async with BareLock(town.here.url, device).online() as new:
            assert await old.closed() == 4000
            assert await new.still_answers()
            assert (await town.here.connection(device))["online"] is True


async def test_a_session_that_lost_its_lock_is_sent_no_command(town: Town, to_nats: Proxy) -> None:
    device = (await town.there.locks()).all[0]
    key = await town.there.key(device, max_uses=1)
    async with BareLock(town.there.url, device).online() as old:
        await to_nats.keep_out()
        async with BareLock(town.here.url, device).online() as new:
            refused, tapped = await asyncio.gather(
                town.there.tap_open(key), town.here.tap_open(await town.here.key(device))
            )
            command = await new.hear("command")
            await new.result(command["id"], "opened")
            await town.here.until_state(command_id_of(tapped), "opened")
            assert command["id"] == command_id_of(tapped)
            assert await old.closed() == 4000
    assert refused.status == 503
    assert await town.here.used_count(key) == 0


# Who else is there


async def test_a_server_without_nats_gives_way_to_one_that_is_there_already(site: Site) -> None:
    await site.server.start()
    lock = await site.lock_online()
    before = await site.connection(lock)
    second = Server(site.server.log.with_name("second.log"), site.server.variables)
    await second.start()
    status = await second.exit_status()
    after = await site.connection(lock)
    assert status == 1
    assert "Another Latchkey server works on this MongoDB database" in second.output
    assert (after["online"], after["since"]) == (True, before["since"])


async def replace_credential(town: Town, device: Device) -> Process:
    """Replace a lock's credential at a shell beside the nodes; the shell, which has ended."""
    shell = Process(town.here.server.log.with_name("shell.log"))
    command = ["lock", "credential", str(device.lock_id), "--org", town.here.org_id]
    await shell.spawn(["-m", "server", *command], town.here.server.variables)
    assert await shell.exit_status() == 0
    return shell


async def test_a_credential_replaced_at_the_shell_closes_the_connection_with_and_without_nats(
    town: Town, nats: Nats
) -> None:
    hears, looks = (await town.there.locks(2)).all
    async with BareLock(town.there.url, hears).online() as connection:
        await replace_credential(town, hears)
        assert await connection.closed() == 4001
    presence = await town.here.until_offline(hears)
    assert presence["offlineReason"] == "credentialRevoked"
    async with BareLock(town.there.url, looks).online() as connection:
        await nats.kill()
        shell = await replace_credential(town, looks)
        assert await connection.closed() == 4001
    assert "nats_away" in shell.output
