"""Places for things of different sizes: first come, first served."""

import asyncio

from server.services.room import Room


async def settled() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_fits_is_taken_at_once():
    room = Room(10)
    async with asyncio.timeout(5):
        await room.take(4)
        await room.take(6)


async def test_what_does_not_fit_waits_until_enough_is_given_back():
    room = Room(10)
    await room.take(8)
    waiting = asyncio.create_task(room.take(5))
    await settled()
    room.give_back(2)
    await settled()
    still_waits = not waiting.done()
    room.give_back(1)
    await asyncio.wait_for(waiting, 5)
    assert still_waits


async def test_a_small_one_does_not_overtake_a_large_one():
    room = Room(10)
    await room.take(8)
    order: list[str] = []

    async def take(places: int, name: str) -> None:
        await room.take(places)
        order.append(name)

    tasks = [asyncio.create_task(take(5, "large")), asyncio.create_task(take(1, "small"))]
    await settled()
    overtaken = list(order)
    room.give_back(8)
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert (overtaken, order) == ([], ["large", "small"])


async def test_one_that_waits_no_longer_lets_the_next_one_in():
    room = Room(10)
    await room.take(8)
    gone = asyncio.create_task(room.take(5))
    next_one = asyncio.create_task(room.take(2))
    await settled()
    gone.cancel()
    await asyncio.wait_for(next_one, 5)
    assert gone.cancelled()


async def test_places_granted_to_one_that_was_just_cancelled_are_not_lost():
    room = Room(10)
    await room.take(10)
    gone = asyncio.create_task(room.take(10))
    await settled()
    room.give_back(10)
    gone.cancel()
    await settled()
    await asyncio.wait_for(room.take(10), 5)
    assert gone.cancelled()
