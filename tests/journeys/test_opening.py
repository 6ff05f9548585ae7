"""What comes of a tap, as the lock has it: opened, refused, failed, busy, and never twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from server.domain.temp_keys import TempKey
from simulator.faults import Faults
from simulator.options import LockOptions
from tests.house import QUICK_DOOR, House, Page, command_id_of, until
from tests.journeys.bare_lock import BareLock


@asynccontextmanager
async def tapping(house: House, key: TempKey) -> AsyncIterator["asyncio.Task[Page]"]:
    """A tap whose answer the test awaits later."""
    task = asyncio.create_task(house.tap_open(key))
    try:
        yield task
    finally:
        await task


async def bare_answer(house: House, status: str, reason: str | None) -> Page:
    """Tap at a bare lock that answers at once; the page that tells what became of it."""
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection, tapping(house, key) as tap:
        command = await connection.hear("command")
        reasons = {} if reason is None else {"reason": reason}
        await connection.result(command["id"], status, **reasons)
        tapped = await tap
        return await house.visit(tapped.location)


async def test_a_tap_answers_with_the_confirmation_page_of_its_command(house: House) -> None:
    lock = await house.lock("Garden gate")
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        page = await house.visit(tapped.location)
    assert tapped.status == 303
    assert tapped.location.startswith(f"/temp-keys/{key.uuid}/confirmation?door=1&offline=false")
    assert lock.openings == [command_id_of(tapped)]
    assert page.text(".where") == "Garden gate"
    assert page.html.select_one(f'a[href="/temp-keys/{key.uuid}"]') is not None


async def test_a_command_goes_from_queued_to_opened_in_the_order_of_the_protocol(
    house: House,
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        command = await house.until_state(command_id_of(tapped), "opened")
    states = [step["state"] for step in command["history"]]
    assert states == ["queued", "sent", "accepted", "opened"]


@pytest.mark.parametrize(
    ("reason", "heading"),
    [
        ("clock", "The lock is setting its clock"),
        ("stale", "The lock has just reconnected"),
        ("expired", "The command came too late"),
        ("its own word", "The lock refused"),
    ],
)
async def test_a_refusal_is_told_in_words(house: House, reason: str, heading: str) -> None:
    page = await bare_answer(house, "refused", reason)
    assert page.text("h1") == heading


async def test_a_refusal_gives_the_use_back(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock, max_uses=1)
    async with lock.online() as connection, tapping(house, key) as tap:
        command = await connection.hear("command")
        await connection.result(command["id"], "refused", reason="clock")
        page = await house.visit((await tap).location)
    assert "does not count as a use of your key" in page.text("#status")
    await house.until_used_count(key, 0)


async def test_a_refusal_for_a_reason_that_only_the_lock_knows_shows_its_word(
    house: House,
) -> None:
    page = await bare_answer(house, "refused", "deadbolt by hand")
    assert "deadbolt by hand" in page.text("#facts")


async def test_a_lock_whose_own_clock_is_a_day_off_opens_all_the_same(house: House) -> None:
    faults = Faults(wrong_clock_s=-86_400)
    lock = await house.lock(options=LockOptions(times=QUICK_DOOR, faults=faults))
    key = await house.key(lock)
    async with lock.connected():
        page = await house.visit((await house.tap_open(key)).location)
    assert page.text("h1") == "The door is open"


async def test_a_jammed_bolt_is_told_and_its_use_stays_counted(house: House) -> None:
    lock = await house.lock(options=LockOptions(jammed=True))
    key = await house.key(lock, max_uses=1)
    async with lock.connected():
        tapped = await house.tap_open(key)
        page = await house.visit(tapped.location)
    assert page.text("h1") == "The bolt is jammed"
    assert (await house.command(command_id_of(tapped)))["state"] == "failed"
    assert lock.openings == []
    assert await house.used_count(key) == 1


async def test_a_second_guest_is_told_that_the_lock_is_busy(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    first, second = await house.key(lock), await house.key(lock, max_uses=1)
    async with lock.online() as connection, tapping(house, first):
        await connection.hear("command")
        page = await house.visit((await house.tap_open(second)).location)
    assert page.text("h1") == "Somebody else is opening this door"
    assert await house.used_count(second) == 0


async def test_a_second_guest_may_open_once_the_first_was_answered(house: House) -> None:
    lock = await house.lock()
    first, second = await house.key(lock), await house.key(lock)
    async with lock.connected():
        await house.until_state(command_id_of(await house.tap_open(first)), "opened")
        page = await house.visit((await house.tap_open(second)).location)
    assert page.text("h1") == "The door is open"
    assert len(lock.openings) == 2


async def test_a_double_tap_of_one_attempt_is_one_opening(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        first, second = await asyncio.gather(
            house.tap_open(key, attempt="one-tap"), house.tap_open(key, attempt="one-tap")
        )
    assert first.location == second.location
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1


async def test_an_attempt_that_is_repeated_after_its_end_returns_the_first_command(
    house: House,
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        first = await house.tap_open(key, attempt="one-tap")
        await house.until_state(command_id_of(first), "opened")
        again = await house.tap_open(key, attempt="one-tap")
    assert again.location == first.location
    assert len(lock.openings) == 1


async def test_an_idempotency_key_marks_a_tap_as_an_attempt_does(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    path = f"/temp-keys/{key.uuid}/doors/1/open"
    async with lock.connected():
        first = await house.fetch(path, "POST", b"", Idempotency_Key="42")
        again = await house.fetch(path, "POST", b"", Idempotency_Key="42")
        other = await house.fetch(path, "POST", b"", Idempotency_Key="43")
    assert first.location == again.location
    assert first.location != other.location
    assert len(lock.openings) == 2


async def test_two_taps_without_an_attempt_count_as_one(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    path = f"/temp-keys/{key.uuid}/doors/1/open"
    async with lock.connected():
        taps = [await house.fetch(path, "POST", b"") for _ in range(2)]
    assert taps[0].location == taps[1].location
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1


async def test_two_attempts_of_one_key_are_two_openings(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        first = await house.tap_open(key, attempt="first")
        await house.until_state(command_id_of(first), "opened")
        second = await house.tap_open(key, attempt="second")
    assert lock.openings == [command_id_of(first), command_id_of(second)]


async def test_a_result_that_is_said_twice_counts_once(house: House) -> None:
    options = LockOptions(times=QUICK_DOOR, faults=Faults(duplicate=1))
    lock = await house.lock(options=options)
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        await house.until_state(command_id_of(tapped), "opened")
        await lock.report(battery=80)
        command = await house.command(command_id_of(tapped))
    states = [step["state"] for step in command["history"]]
    assert states == ["queued", "sent", "accepted", "opened"]


async def test_a_final_state_stands_whatever_the_lock_says_later(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection, tapping(house, key) as tap:
        command = await connection.hear("command")
        await connection.result(command["id"], "opened")
        await connection.result(command["id"], "accepted")
        await connection.result(command["id"], "refused")
        await tap
        assert await connection.still_answers()
        told = await house.command(command["id"])
    assert told["state"] == "opened"


async def test_a_guest_is_not_kept_waiting_by_a_lock_that_takes_its_time(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        page = await house.visit((await house.tap_open(key)).location)
        await connection.hear("command")
    assert page.text("h1") == "Sent to the lock"


async def test_a_use_of_a_key_is_in_the_events_of_its_lock(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await house.tap_open(key)
        await house.tap_open(key)

    async def both_uses() -> list[int] | None:
        page = await house.manage("GET", f"/locks/{lock.lock_id}/events")
        told = page.json()["events"]
        counts = [one["event"]["usedCount"] for one in told if one["type"] == "TempKeyUsed"]
        return counts if len(counts) > 1 else None

    assert await until(both_uses) == [1, 2]
