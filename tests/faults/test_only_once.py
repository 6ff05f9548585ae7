"""Taps, commands, answers and reports that are lost or come many times: each counts once."""

import asyncio

from server.storage.mongo import Database
from tests.browser.phone import phone_in, running_browser
from tests.faults.processes import Locks, Town
from tests.faults.proxy import in_front_of
from tests.house import command_id_of, until
from tests.journeys.bare_lock import BareLock

MANY = 100
GUESTS = 200


async def until_opened(lock: Locks) -> list[str]:
    """Wait until a lock has moved its bolt; for which commands."""

    async def opened() -> list[str]:
        return lock.openings()

    return await until(opened)


# Answers that are lost


async def test_an_opening_whose_answer_is_lost_is_sent_once_and_settled_by_the_locks_later_report(
    quiet_town: Town,
) -> None:
    site = quiet_town.here
    lock = await site.locks()
    key = await site.key(lock, max_uses=1)
    async with in_front_of(("127.0.0.1", site.server.port)) as network:
        await lock.start(f"http://127.0.0.1:{network.port}")
        await site.until_online(lock)
        network.to_server.stall()
        tapped = await site.tap_open(key)
        opened = await until_opened(lock)
        unconfirmed = await site.until_state(command_id_of(tapped), "unconfirmed")
        uses = await site.used_count(key)
        await network.cut()
        network.flow()
        settled = await site.until_state(command_id_of(tapped), "opened")
        await lock.kill()
    assert [command["id"] for command in await site.commands_of(lock)] == [command_id_of(tapped)]
    assert [step["state"] for step in unconfirmed["history"]] == ["queued", "sent", "unconfirmed"]
    assert [step["state"] for step in settled["history"]][2:] == ["unconfirmed", "opened"]
    assert opened == lock.openings() == [command_id_of(tapped)]
    assert uses == await site.used_count(key) == 1


# What comes many times


async def test_a_command_that_comes_a_hundred_times_and_after_a_reboot_opens_once(
    quiet_town: Town,
) -> None:
    site = quiet_town.here
    lock = await site.locks()
    key = await site.key(lock)
    async with in_front_of(("127.0.0.1", site.server.port)) as network:
        url = f"http://127.0.0.1:{network.port}"
        await lock.start(url)
        await site.until_online(lock)
        network.to_client.repeat(b'"type":"command"', MANY)
        first = command_id_of(await site.tap_open(key))
        await site.until_state(first, "opened")
        await lock.kill()
        await site.until_offline(lock)
        await lock.start(url)
        await site.until_online(lock)
        network.to_client.push_in(network.to_client.repeated)
        second = command_id_of(await site.tap_open(key))
        await site.until_state(second, "opened")
        told = await site.command(first)
        await lock.kill()
    assert network.to_client.repeated.count(first.encode()) == MANY
    assert lock.openings() == [first, second]
    assert [step["state"] for step in told["history"]].count("opened") == 1


async def test_the_same_tap_a_hundred_times_at_two_nodes_opens_once(quiet_town: Town) -> None:
    lock = await quiet_town.there.lock_online()
    key = await quiet_town.here.key(lock)
    taps = (site.tap_open(key, attempt="tap") for _ in range(MANY // 2) for site in quiet_town)
    commands = {command_id_of(page) for page in await asyncio.gather(*taps)}
    await quiet_town.here.until_state(next(iter(commands)), "opened")
    assert [*commands] == lock.openings()
    assert await quiet_town.here.used_count(key) == 1


async def test_of_two_hundred_guests_at_two_nodes_one_gets_the_last_use_of_a_key(
    quiet_town: Town,
) -> None:
    lock = await quiet_town.there.lock_online()
    key = await quiet_town.here.key(lock, max_uses=1)
    taps = (site.tap_open(key) for _ in range(GUESTS // 2) for site in quiet_town)
    pages = await asyncio.gather(*taps)
    sent_on = [command_id_of(page) for page in pages if page.status == 303]
    told = [page.text("h1") for page in pages if page.status == 400]
    await quiet_town.here.until_state(sent_on[0], "opened")
    assert sent_on == lock.openings()
    assert told == ["Your key is used up"] * (GUESTS - 1)
    assert await quiet_town.here.used_count(key) == 1


async def test_a_guest_who_taps_twice_reloads_and_goes_back_opens_once(quiet_town: Town) -> None:
    lock = await quiet_town.there.lock_online()
    key = await quiet_town.here.key(lock)
    async with running_browser() as browser, phone_in(browser, quiet_town.here.url) as phone:
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.page.get_by_role("button", name="Open Front door").dblclick()
        await phone.wait_for_heading("The door is open")
        await phone.page.reload()
        await phone.wait_for_heading("The door is open")
        await phone.page.go_back()
        await phone.wait_for_heading("Your key to Front door")
        await phone.page.go_forward()
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings()) == 1
    assert await quiet_town.here.used_count(key) == 1


async def test_reports_that_come_twice_and_out_of_order_are_stored_once_each(
    quiet_town: Town, database_of_nodes: Database
) -> None:
    device = (await quiet_town.here.locks()).all[0]
    here, there = [BareLock(site.url, device) for site in quiet_town]
    async with here.online() as connection:
        for seq in (1, 3, 2, 3, 1, 2):
            await connection.reading(seq, battery=seq)
        while (await connection.hear("ack"))["seq"] < 3:
            pass
        assert await connection.still_answers()
    async with there.online() as connection:  # as if no ack had come
        for seq in (3, 1, 2):
            await connection.reading(seq, battery=seq)
            await connection.hear("ack")
    stored = database_of_nodes["reports"].find({"lockId": device.lock_id}).sort("seq", 1)
    assert [report["seq"] async for report in stored] == [1, 2, 3]
