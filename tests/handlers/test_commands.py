"""What became of open commands, over HTTP."""

from pathlib import Path

from tests.house import House


async def test_an_opening_is_shown_with_every_step(house: House):
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await house.tap_open(key)
    [command_id] = lock.openings
    shown = await house.manage("GET", f"/commands/{command_id}")
    assert shown.status == 200
    command = shown.json()
    assert (command["id"], command["lockId"]) == (command_id, lock.lock_id)
    assert (command["tempKeyUuid"], command["doorId"]) == (key.uuid, 1)
    assert (command["state"], command["reason"], command["offline"]) == ("opened", None, False)
    assert command["requestedAt"] < command["expiresAt"]
    states = [step["state"] for step in command["history"]]
    assert states[0] == "queued"
    assert states[-1] == "opened"
    assert all(step["at"].endswith("Z") for step in command["history"])


async def test_a_tap_at_an_offline_lock_is_shown_as_such(house: House):
    lock = await house.lock()
    await house.tap_open(await house.key(lock))
    [command] = (await house.manage("GET", f"/locks/{lock.lock_id}/commands")).json()["commands"]
    assert (command["state"], command["offline"]) == ("queued", True)


async def test_a_locks_commands_are_listed_newest_first(house: House):
    lock = await house.lock()
    key = await house.key(lock)
    for _ in range(3):
        await house.tap_open(key)
    listed = (await house.manage("GET", f"/locks/{lock.lock_id}/commands")).json()["commands"]
    times = [command["requestedAt"] for command in listed]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)


async def test_a_lock_that_was_never_opened_has_no_commands(house: House):
    lock = await house.lock()
    listed = await house.manage("GET", f"/locks/{lock.lock_id}/commands")
    assert listed.json() == {"commands": []}


async def test_a_command_that_is_not_there_is_404(house: House):
    shown = await house.manage("GET", "/commands/nowhere")
    assert (shown.status, shown.json()["reason"]) == (404, "command_not_found")


async def test_another_organisations_commands_look_like_none(house: House, tmp_path: Path):
    neighbour = await House.build(house.services, house.url, tmp_path)
    theirs = await neighbour.lock()
    await neighbour.tap_open(await neighbour.key(theirs))
    path = f"/locks/{theirs.lock_id}/commands"
    [command] = (await neighbour.manage("GET", path)).json()["commands"]
    shown = await house.manage("GET", f"/commands/{command['id']}")
    nowhere = await house.manage("GET", "/commands/nowhere")
    assert shown.status == 404
    assert shown.response.body == nowhere.response.body
    assert (await house.manage("GET", path)).status == 404


async def test_the_commands_of_a_lock_that_is_no_number_are_400(house: House):
    assert (await house.manage("GET", "/locks/one/commands")).status == 400
