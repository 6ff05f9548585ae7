"""A tap while the lock is away: told honestly, sent in time or never."""

import pytest

from tests.house import House, command_id_of


async def test_a_tap_at_an_offline_lock_says_that_the_lock_was_offline(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    tapped = await house.tap_open(key)
    page = await house.visit(tapped.location)
    assert tapped.status == 303
    assert "door=1&offline=true&command=" in tapped.location
    assert page.text("h1") == "Waiting for the lock"
    assert "The device was offline when the command was sent." in page.text(".notice.offline")


async def test_the_page_of_a_key_says_that_its_lock_is_offline(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        pass
    await house.until_offline(lock)
    page = await house.visit(f"/temp-keys/{key.uuid}")
    assert page.text(".chip") == "Offline"
    assert "This lock is offline" in page.text(".notice.offline")


async def test_a_lock_that_comes_back_after_the_commands_life_does_not_open(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock, max_uses=1)
    tapped = await house.tap_open(key)
    await house.until_state(command_id_of(tapped), "expired")
    async with lock.connected():
        await lock.report(battery=80)
        page = await house.visit(tapped.location)
    assert lock.openings == []
    assert page.text("h1") == "The lock was offline"
    assert "it will not open later" in page.text("#status")
    await house.until_used_count(key, 0)


async def test_a_lock_that_comes_back_within_the_commands_life_opens(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    tapped = await house.tap_open(key)
    async with lock.connected():
        await house.until_state(command_id_of(tapped), "opened")
        page = await house.visit(tapped.location)
    assert page.text("h1") == "The door is open"
    assert lock.openings == [command_id_of(tapped)]


@pytest.mark.parametrize("offline", ["null", "", "false", "maybe", "TRUE"])
async def test_only_true_in_the_link_says_that_the_lock_was_offline(
    house: House, offline: str
) -> None:
    key = await house.key(await house.lock())
    page = await house.visit(f"/temp-keys/{key.uuid}/confirmation?door=1&offline={offline}")
    assert page.text("h1") == "Open command sent"


async def test_a_link_that_says_offline_without_a_command_never_claims_an_open_door(
    house: House,
) -> None:
    key = await house.key(await house.lock())
    page = await house.visit(f"/temp-keys/{key.uuid}/confirmation?door=1&offline=true")
    assert page.text("h1") == "The lock was offline"
    assert "The device was offline when the command was sent." in page.text("#status")


async def test_a_link_that_says_offline_does_not_hide_that_the_door_opened(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        page = await house.visit(tapped.location.replace("offline=false", "offline=true"))
    assert page.text("h1") == "The door is open"
