"""Locks that this node does not let in now: told when to come back, and nothing is looked up."""

import pytest
from msgspec import structs
from websockets.exceptions import InvalidStatus

from server.settings import Settings
from tests.house import House
from tests.journeys.bare_lock import BareLock


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, most_locks=2)


async def test_a_full_node_tells_a_lock_when_to_come_back(house: House) -> None:
    first, second, third = [BareLock(house.url, await house.device()) for _ in range(3)]
    async with first.online(), second.connection():
        with pytest.raises(InvalidStatus) as refused:
            async with third.connection():
                pass
    response = refused.value.response
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1


async def test_a_full_node_does_not_look_at_credentials(house: House) -> None:
    first, second = [BareLock(house.url, await house.device()) for _ in range(2)]
    async with first.online(), second.online():
        page = await house.fetch("/locks/999/connect", Authorization="Bearer wrong")
    assert page.status == 503
    assert page.json()["reason"] == "overloaded"


async def test_a_lock_that_leaves_and_one_that_is_refused_make_room(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    for _ in range(3):
        page = await house.fetch(f"/locks/{lock.lock_id}/connect", Authorization="Bearer wrong")
        assert page.status == 401
    for _ in range(3):
        async with lock.online():
            pass
        await house.until_offline(lock)
