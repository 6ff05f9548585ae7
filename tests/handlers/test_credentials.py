"""Issuing, registering and revoking what a lock connects with."""

import asyncio

import pytest

from simulator import SimulatedLock
from tests.house import House

P256_PUBLIC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt
6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==
-----END PUBLIC KEY-----
"""


async def rotate(house: House, lock: SimulatedLock, body: object = None) -> dict[str, str]:
    """Replace a lock's credential."""
    answer = await house.manage("POST", f"/locks/{lock.lock_id}/credentials", body)
    assert answer.status == 201, answer.json()
    return answer.json()


async def test_a_new_token_is_shown_once_and_lets_the_lock_in(
    house: House, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lock = await house.lock()
    token = (await rotate(house, lock))["token"]
    with_new_token = SimulatedLock(
        lock.lock_id, house.url, token, tmp_path_factory.mktemp("lock"), lock.options
    )
    async with with_new_token.connected():
        shown = await house.manage("GET", f"/locks/{lock.lock_id}")
    assert shown.json()["connection"]["online"] is True
    assert token not in shown.response.body.decode()


async def test_the_connection_of_the_old_token_is_closed(house: House) -> None:
    lock = await house.lock()
    async with lock.connected():
        closed = asyncio.create_task(lock.wait_closed())
        await rotate(house, lock)
        assert await closed == 4001
    shown = await house.manage("GET", f"/locks/{lock.lock_id}")
    assert shown.json()["connection"]["offlineReason"] == "credentialRevoked"


@pytest.mark.expects_log("cannot connect")
async def test_the_old_token_is_good_no_longer(house: House) -> None:
    lock = await house.lock()
    await rotate(house, lock)
    lock.start()
    assert await lock.wait_refused() == 401


@pytest.mark.expects_log("cannot connect")
async def test_a_revoked_lock_cannot_connect(house: House) -> None:
    lock = await house.lock()
    assert (await house.manage("DELETE", f"/locks/{lock.lock_id}/credentials")).status == 200
    lock.start()
    assert await lock.wait_refused() == 401


@pytest.mark.expects_log("cannot connect")
async def test_a_public_key_takes_the_place_of_the_token(house: House) -> None:
    lock = await house.lock()
    answer = await rotate(house, lock, {"publicKey": P256_PUBLIC_KEY})
    assert "token" not in answer
    lock.start()
    assert await lock.wait_refused() == 401


async def test_what_is_no_public_key_is_refused_by_its_name(house: House) -> None:
    lock = await house.lock()
    answer = await house.manage(
        "POST", f"/locks/{lock.lock_id}/credentials", {"publicKey": "no key"}
    )
    assert answer.status == 400
    assert "publicKey" in answer.json()["message"]
