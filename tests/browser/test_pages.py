"""Every other page a guest may see: in words, without a complaint of the browser."""

from datetime import timedelta

import pytest

from server import clock
from server.domain.commands import new_attempt
from simulator.options import LockOptions
from tests.browser.phone import Phone
from tests.house import House
from tests.journeys.bare_lock import BareLock


async def test_a_key_that_is_not_valid_yet(house: House, phone: Phone) -> None:
    valid_from = clock.now() + timedelta(days=1)
    key = await house.key(
        await house.lock(), valid_from=valid_from, valid_until=valid_from + timedelta(days=1)
    )
    await phone.visit(f"/temp-keys/{key.uuid}")
    await phone.wait_for_heading("Your key is not valid yet")
    assert await phone.page.get_by_role("button").count() == 0


async def test_a_key_that_has_expired(house: House, phone: Phone) -> None:
    key = await house.key(await house.lock(), valid_until=clock.now() + timedelta(seconds=0.1))
    await phone.visit(f"/temp-keys/{key.uuid}")
    while await phone.page.get_by_role("heading", name="Your key has expired").count() == 0:
        await phone.page.reload()
    assert await phone.page.get_by_role("button").count() == 0


async def test_a_key_that_is_used_up(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock, max_uses=1)
    async with lock.connected():
        await house.tap_open(key)
    await phone.visit(f"/temp-keys/{key.uuid}")
    await phone.wait_for_heading("Your key is used up")


async def test_a_key_that_was_revoked(house: House, phone: Phone) -> None:
    key = await house.key(await house.lock())
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    await phone.visit(f"/temp-keys/{key.uuid}")
    await phone.wait_for_heading("Your key was revoked")


async def test_a_key_that_is_revoked_while_its_page_is_open(house: House, phone: Phone) -> None:
    key = await house.key(await house.lock())
    await phone.visit(f"/temp-keys/{key.uuid}")
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    await phone.tap("Open Front door")
    await phone.wait_for_heading("Your key was revoked")
    phone.complaints.clear()  # the browser notes that the tap was refused
    await phone.page.get_by_role("link", name="Back to your key").click()
    await phone.wait_for_heading("Your key was revoked")


async def test_a_lock_with_a_low_battery_and_a_jammed_bolt(house: House, phone: Phone) -> None:
    lock = await house.lock(options=LockOptions(jammed=True, battery=9))
    key = await house.key(lock)
    async with lock.connected():
        await lock.wait_acknowledged()
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.page.get_by_text("The battery is low").wait_for()
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The bolt is jammed")


@pytest.mark.parametrize(
    ("reason", "heading"),
    [
        ("clock", "The lock is setting its clock"),
        ("expired", "The command came too late"),
        ("fingers in the way", "The lock refused"),
    ],
)
async def test_a_refusal(house: House, phone: Phone, reason: str, heading: str) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        command = await connection.hear("command")
        await connection.result(command["id"], "refused", reason=reason)
        await phone.wait_for_heading(heading)


async def test_a_second_guest_at_a_busy_lock(house: House, phone: Phone) -> None:
    lock = BareLock(house.url, await house.device())
    first, second = await house.key(lock), await house.key(lock)
    async with lock.online():
        await house.tap_open(first)
        await phone.visit(f"/temp-keys/{second.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("Somebody else is opening this door")


async def test_a_link_that_names_no_command(house: House, phone: Phone) -> None:
    key = await house.key(await house.lock())
    await phone.visit(f"/temp-keys/{key.uuid}/confirmation?offline=null")
    await phone.wait_for_heading("Open command sent")


@pytest.mark.parametrize(
    ("path", "heading", "name"),
    [
        ("/temp-keys/no-such-key", "Key not found", "key-not-found"),
        ("/no-such-page", "Page not found", "page-not-found"),
    ],
)
async def test_a_page_that_is_not_there(phone: Phone, path: str, heading: str, name: str) -> None:
    await phone.visit(path)
    await phone.wait_for_heading(heading)


async def test_a_key_that_nobody_has_tapped_yet_marks_each_visit_with_its_own_attempt(
    house: House, phone: Phone
) -> None:
    key = await house.key(await house.lock())
    attempts: set[str] = {new_attempt()}
    for _ in range(2):
        await phone.visit(f"/temp-keys/{key.uuid}")
        attempts.add(await phone.page.locator('input[name="attempt"]').input_value())
    assert len(attempts) == 3
