"""A guest with a link at a door: the main job, over real sockets."""

from tests.house import House


async def test_the_page_says_that_the_door_is_open_because_the_lock_said_so(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        page = await house.visit(tapped.location)
    assert tapped.status == 303
    assert page.text("h1") == "The door is open"
    assert len(lock.openings) == 1
