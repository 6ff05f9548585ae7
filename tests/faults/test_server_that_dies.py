"""A server that is killed, stands still or is told to stop: nothing late, doubled or forgotten."""

import asyncio

from server import clock
from server.services.nodes import LEASE
from tests.faults.processes import Process, Site
from tests.faults.proxy import Proxy, mongodb_command
from tests.house import command_id_of, until

COMMAND_LIFE_S = 3
TAKES_IN_HAND = mongodb_command("update", "commands")
"""The write that comes after a use was claimed and before anything is sent to the lock."""
RECORDS_A_STEP = mongodb_command("findAndModify", "commands")
"""The write that comes after the command was sent to the lock."""
WRITES_EVENTS = mongodb_command("insert", "events")
"""The last write of a transaction in which locks' events were numbered."""


async def test_after_a_kill_only_locks_that_came_back_are_shown_online(site: Site) -> None:
    await site.server.start()
    back, gone = await site.lock_online(), await site.lock_online(battery=12)

    async def reading() -> dict[str, object] | None:
        return (await site.manage("GET", f"/locks/{gone.lock_id}")).json()["telemetry"]

    before = await until(reading)
    await site.server.kill()
    await gone.kill()
    await site.server.start()
    await site.until_online(back)
    presence = await site.until_offline(gone, timeout_s=LEASE.total_seconds() / 2)
    assert presence["offlineReason"] == "serverLost"
    assert await reading() == before
    assert before["battery"] == 12


async def test_a_lock_opens_again_after_its_server_was_killed(site: Site) -> None:
    await site.server.start()
    lock = await site.lock_online()
    key = await site.key(lock)
    await site.server.kill()
    await site.server.start()
    await site.until_online(lock)
    tapped = await site.tap_open(key)
    await site.until_state(command_id_of(tapped), "opened")
    assert lock.openings() == [command_id_of(tapped)]


async def test_a_server_killed_in_the_middle_of_a_transaction_keeps_no_lock_out(
    site: Site, to_mongodb: Proxy
) -> None:
    await site.server.start()
    to_mongodb.to_server.stall_at(WRITES_EVENTS)
    lock = await site.lock_online()
    await to_mongodb.to_server.sprung.wait()
    await site.server.kill()
    await to_mongodb.cut()
    to_mongodb.flow()
    await site.server.start()

    async def welcomed_again() -> bool:
        return lock.output.count("welcomed") == 2

    await until(welcomed_again)


async def test_a_server_killed_between_the_claim_and_the_send_leaves_an_expired_command(
    site: Site, to_mongodb: Proxy
) -> None:
    await site.server.start()
    lock = await site.lock_online()
    key = await site.key(lock, max_uses=1)
    to_mongodb.to_server.stall_at(TAKES_IN_HAND)
    tap = asyncio.create_task(site.tap_open(key))
    await to_mongodb.to_server.sprung.wait()
    await site.server.kill()
    await to_mongodb.cut()
    to_mongodb.flow()
    await asyncio.gather(tap, return_exceptions=True)
    await site.server.start()
    await site.until_online(lock)
    claimed = await site.used_count(key)

    async def settled() -> str | None:
        commands = await site.commands_of(lock)
        return commands[0]["state"] if commands else None

    assert claimed == 1
    assert await until(settled) == "expired"
    assert await site.used_count(key) == 0
    assert lock.openings() == []


async def test_a_server_killed_after_the_send_learns_from_the_lock_what_happened(
    site: Site, to_mongodb: Proxy
) -> None:
    await site.server.start()
    lock = await site.lock_online()
    key = await site.key(lock, max_uses=1)
    to_mongodb.to_server.stall_at(RECORDS_A_STEP)
    tap = asyncio.create_task(site.tap_open(key))

    async def opened() -> list[str]:
        return lock.openings()

    command_id, *others = await until(opened)
    await site.server.kill()
    await to_mongodb.cut()
    to_mongodb.flow()
    await asyncio.gather(tap, return_exceptions=True)
    await site.server.start()
    await site.until_state(command_id, "opened")
    assert others == []
    assert lock.openings() == [command_id]
    assert await site.used_count(key) == 1


async def test_a_server_that_stands_still_in_the_middle_of_an_opening_sends_nothing_late(
    site: Site, to_mongodb: Proxy
) -> None:
    await site.server.start(
        mongodb_timeout_s="60", offline_after_s="60", command_life_s=str(COMMAND_LIFE_S)
    )
    lock = await site.lock_online()
    key = await site.key(lock, max_uses=1)
    to_mongodb.to_server.stall_at(TAKES_IN_HAND)
    tapped_at = clock.now()
    tap = asyncio.create_task(site.tap_open(key))
    await to_mongodb.to_server.sprung.wait()
    await site.server.freeze()
    to_mongodb.flow()

    async def its_life_is_over() -> bool:
        return (clock.now() - tapped_at).total_seconds() > COMMAND_LIFE_S + 1

    await until(its_life_is_over)
    site.server.thaw()
    page = await site.visit((await tap).location)
    command, *others = await site.commands_of(lock)
    assert command["state"] == "expired"
    assert others == []
    assert page.text("h1") == "The door did not open"
    await site.until_used_count(key, 0)
    assert lock.openings() == []


async def test_a_server_that_stands_still_while_the_lock_answers_hears_the_answer_after_all(
    site: Site,
) -> None:
    await site.server.start(offline_after_s="60")
    lock = await site.locks()
    await lock.start(site.url, faults="slow-bolt=1")
    await site.until_online(lock)
    tapped = await site.tap_open(await site.key(lock))
    await site.server.freeze()

    async def opened() -> list[str]:
        return lock.openings()

    await until(opened)
    site.server.thaw()
    command = await site.until_state(command_id_of(tapped), "opened")
    assert lock.openings() == [command["id"]]


async def test_a_server_told_to_stop_during_openings_exits_and_audit_and_journals_agree(
    site: Site,
) -> None:
    await site.server.start()
    locks = await site.locks(20)
    await locks.start(site.url)
    for lock in locks.all:
        await site.until_online(lock)
    keys = [await site.key(lock) for lock in locks.all]
    taps = [asyncio.create_task(site.tap_open(key)) for key in keys]

    async def some_opened() -> bool:
        return any(locks.openings(lock) for lock in locks.all)

    await until(some_opened)
    site.server.ask_to_end()
    status = await site.server.exit_status()
    await asyncio.gather(*taps, return_exceptions=True)
    await site.server.start()
    for lock in locks.all:
        await site.until_online(lock)

    async def all_settled() -> bool:
        states = {
            command["state"] for lock in locks.all for command in await site.commands_of(lock)
        }
        return states <= {"opened", "refused", "expired"}

    assert status == 0
    assert await until(all_settled, timeout_s=40)
    for lock in locks.all:
        audit = [
            command["id"]
            for command in await site.commands_of(lock)
            if command["state"] == "opened"
        ]
        assert audit == locks.openings(lock)


async def test_a_stopped_server_sends_its_locks_away_and_they_are_shown_as_drained(
    site: Site,
) -> None:
    await site.server.start()
    lock = await site.lock_online()
    site.server.ask_to_end()
    assert await site.server.exit_status() == 0
    await lock.kill()
    await site.server.start()
    presence = await site.until_offline(lock)
    assert presence["offlineReason"] == "drained"


async def test_a_shell_command_beside_a_running_server_leaves_its_locks_online(
    site: Site,
) -> None:
    await site.server.start()
    lock = await site.lock_online()
    before = await site.connection(lock)
    shell = Process(site.server.log.with_name("shell.log"))
    await shell.spawn(["-m", "server", "org", "create", "Another"], site.server.variables)
    status = await shell.exit_status()
    after = await site.connection(lock)
    assert (status, shell.output.count("id: ")) == (0, 1)
    assert after["since"] == before["since"]


async def test_the_log_shows_neither_links_nor_tokens(site: Site) -> None:
    await site.server.start()
    lock = await site.lock_online()
    key = await site.key(lock)
    await site.visit((await site.tap_open(key)).location)
    await site.server.until_said("/confirmation")
    output = site.server.output
    for secret in (key.uuid, lock.all[0].token, site.api_key):
        assert secret not in output
