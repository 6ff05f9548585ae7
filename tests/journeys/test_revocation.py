"""A key that is taken back opens nothing from the answer on."""

import asyncio
import random

from tests.house import House, command_id_of
from tests.journeys.bare_lock import BareLock

LOCKS = 8
ROUNDS = 125
LONGEST_HEAD_START_S = 0.08
"""About as long as a tap takes while so many race."""


async def test_a_revoked_key_says_so_and_opens_nothing(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    revoked = await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    async with lock.connected():
        page = await house.visit(f"/temp-keys/{key.uuid}")
        tapped = await house.tap_open(key)
    assert revoked.json() == {"success": True, "uuid": key.uuid}
    assert page.text("h1") == "Your key was revoked"
    assert (tapped.status, tapped.text("h1")) == (400, "Your key was revoked")
    assert lock.openings == []


async def test_revoking_again_says_that_it_was_revoked_before(house: House) -> None:
    key = await house.key(await house.lock())
    answers = [await house.manage("DELETE", f"/temp-keys/{key.uuid}") for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[1].json()["alreadyRevoked"] is True


async def test_a_revoked_key_stays_in_the_list(house: House) -> None:
    key = await house.key(await house.lock())
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    keys = (await house.manage("GET", "/temp-keys")).json()["tempKeys"]
    assert keys[0]["uuid"] == key.uuid
    assert keys[0]["revokedAt"] is not None


async def test_a_command_that_waits_for_its_lock_is_withdrawn_with_its_key(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    tapped = await house.tap_open(key)
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    async with lock.connected():
        await lock.report(battery=50)
        command = await house.command(command_id_of(tapped))
    assert (command["state"], command["reason"]) == ("refused", "revoked")
    assert lock.openings == []


async def test_nothing_reaches_the_lock_after_the_revocation_was_answered(house: House) -> None:
    locks = [BareLock(house.url, await house.device()) for _ in range(LOCKS)]
    reached = await asyncio.gather(*(race(house, lock) for lock in locks))
    assert 0 < sum(reached) < LOCKS * ROUNDS  # now the tap was first, and now the revocation


async def race(house: House, lock: BareLock) -> int:
    """Revoke keys of a lock just when they are used; how often the tap was first."""
    reached = 0
    async with lock.online() as connection:
        for _ in range(ROUNDS):
            key = await house.key(lock)
            tap = asyncio.create_task(house.tap_open(key))
            await asyncio.sleep(random.uniform(0, LONGEST_HEAD_START_S))
            await house.manage("DELETE", f"/temp-keys/{key.uuid}")
            await connection.say("time", t=1)
            while (frame := await connection.next_frame())["type"] != "time":
                reached += 1
                await connection.result(frame["id"], "failed")
            await tap
            await connection.say("time", t=2)
            assert (await connection.next_frame())["type"] == "time"  # and nothing before it
    return reached


async def test_only_operators_may_revoke(house: House) -> None:
    key = await house.key(await house.lock())
    answer = await house.fetch(f"/temp-keys/{key.uuid}", "DELETE")
    page = await house.visit(f"/temp-keys/{key.uuid}")
    assert answer.status == 401
    assert page.text("h1") != "Your key was revoked"
