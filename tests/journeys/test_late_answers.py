"""Locks that say nothing, or say it late: the page never guesses."""

from simulator.faults import Faults
from simulator.options import LockOptions
from tests.house import QUICK_DOOR, House, command_id_of
from tests.journeys.bare_lock import BareLock


async def test_a_lock_that_never_answers_leaves_the_opening_unconfirmed(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock, max_uses=1)
    async with lock.online():
        tapped = await house.tap_open(key)
        await house.until_state(command_id_of(tapped), "unconfirmed")
        page = await house.visit(tapped.location)
    assert page.text("h1") == "No answer from the lock"
    assert await house.used_count(key) == 1


async def test_a_late_report_turns_unconfirmed_into_opened(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online():
        tapped = await house.tap_open(key)
        await house.until_state(command_id_of(tapped), "unconfirmed")
    async with lock.online() as connection:
        await connection.result(command_id_of(tapped), "opened")
        await house.until_state(command_id_of(tapped), "opened")
    page = await house.visit(tapped.location)
    assert page.text("h1") in ("The door is open", "The door was opened")


async def test_a_late_refusal_gives_the_use_back(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock, max_uses=1)
    async with lock.online() as connection:
        tapped = await house.tap_open(key)
        await house.until_state(command_id_of(tapped), "unconfirmed")
        await connection.result(command_id_of(tapped), "refused", reason="expired")
        await house.until_state(command_id_of(tapped), "refused")
    await house.until_used_count(key, 0)


async def test_an_unanswered_command_is_never_sent_again(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        await house.tap_open(key)
        first = await connection.hear("command")
    async with lock.online() as connection:
        await house.until_state(first["id"], "unconfirmed")
        await connection.say("time", t=7)
        next_frame = await connection.next_frame()
    assert next_frame["type"] == "time"


async def test_a_lock_whose_result_is_lost_still_tells_by_its_event_that_it_opened(
    house: House,
) -> None:
    options = LockOptions(times=QUICK_DOOR, faults=Faults(lose_result=1))
    lock = await house.lock(options=options)
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        command = await house.until_state(command_id_of(tapped), "opened")
    assert [step["state"] for step in command["history"]] == ["queued", "sent", "opened"]


async def test_a_lock_that_lost_its_power_at_the_bolt_tells_afterwards_that_it_opened(
    house: House,
) -> None:
    options = LockOptions(faults=Faults(slow_bolt_s=30), telemetry_every_s=None)
    lock = await house.lock(options=options)
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        await house.until_state(command_id_of(tapped), "accepted")
        await lock.power_off()
    await house.until_state(command_id_of(tapped), "unconfirmed")
    async with lock.connected():
        await house.until_state(command_id_of(tapped), "opened")
    assert lock.openings == [command_id_of(tapped)]
