"""The lock's end of the protocol: who is let in, which frames are taken, and what ends it."""

import base64

import pytest

from server import clock
from server.domain.protocol import SUBPROTOCOL
from server.domain.times import wire_time
from server.settings import Settings
from tests.house import House, Page
from tests.journeys.bare_lock import BareLock

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": base64.b64encode(b"sixteen bytes ok").decode(),
    "Sec_WebSocket_Protocol": SUBPROTOCOL,
}


async def knock(house: House, lock_id: int, token: str | None, **headers: str) -> Page:
    """Ask for the upgrade, and get the refusal."""
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return await house.fetch(f"/locks/{lock_id}/connect", **UPGRADE | headers)


# Who is let in


async def test_an_unknown_lock_a_wrong_token_and_none_are_refused_alike(house: House) -> None:
    device = await house.device()
    refusals = [
        await knock(house, device.lock_id, "not-the-token"),
        await knock(house, 999_999, device.token),
        await knock(house, device.lock_id, None),
        await knock(house, device.lock_id, ""),
    ]
    assert {refusal.status for refusal in refusals} == {401}
    assert len({refusal.response.body for refusal in refusals}) == 1
    assert refusals[0].response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_token_of_another_lock_is_refused(house: House) -> None:
    mine, other = await house.device(), await house.device()
    assert (await knock(house, mine.lock_id, other.token)).status == 401


async def test_a_token_that_was_replaced_is_refused(house: House) -> None:
    device = await house.device()
    issue = house.services.provisioning.issue_device_token
    await issue(house.organization.id, device.lock_id)
    assert (await knock(house, device.lock_id, device.token)).status == 401


async def test_a_token_in_the_url_is_not_looked_at(house: House) -> None:
    device = await house.device()
    path = f"/locks/{device.lock_id}/connect?token={device.token}&access_token={device.token}"
    assert (await house.fetch(path, **UPGRADE)).status == 401


@pytest.mark.parametrize("offered", ["", "latchkey.v2", "mqtt, other"])
async def test_a_lock_that_does_not_offer_the_subprotocol_is_refused(
    house: House, offered: str
) -> None:
    device = await house.device()
    page = await knock(house, device.lock_id, device.token, Sec_WebSocket_Protocol=offered)
    assert page.status == 400
    assert "latchkey.v1" in page.json()["message"]


async def test_a_browser_is_refused(house: House) -> None:
    device = await house.device()
    page = await knock(house, device.lock_id, device.token, Origin="https://example.org")
    assert page.status == 403


async def test_a_plain_get_is_a_clear_error(house: House) -> None:
    device = await house.device()
    page = await house.fetch(
        f"/locks/{device.lock_id}/connect", Authorization=f"Bearer {device.token}"
    )
    assert page.status == 400
    assert page.json()["reason"] == "invalid_input"


async def test_another_method_is_not_allowed(house: House) -> None:
    device = await house.device()
    page = await house.fetch(f"/locks/{device.lock_id}/connect", "POST", b"")
    assert page.status == 405


# Which frames are taken


async def test_an_unknown_type_is_answered_with_an_error_and_the_connection_stays(
    house: House,
) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        await connection.say("selfie", picture="…")
        assert (await connection.hear("error"))["code"] == "unknown_type"
        assert await connection.still_answers()


async def test_unknown_fields_are_ignored(house: House) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        await connection.say("time", t=5, mood="good")
        assert (await connection.hear("time"))["t"] == 5


async def test_a_lock_that_does_not_say_hello_is_sent_away(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.connection() as connection:
        assert await connection.closed() == 4002
    assert not (await house.connection(lock))["online"]


async def test_a_lock_that_reports_before_its_hello_is_sent_away(house: House) -> None:
    async with BareLock(house.url, await house.device()).connection() as connection:
        await connection.reading(1, battery=50)
        assert await connection.closed() == 4003


# Other locks' commands


@pytest.mark.expects_log("result_of_foreign_command")
async def test_a_result_for_a_command_that_never_was_leaves_the_connection_open(
    house: House,
) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        await connection.result("never-was", "opened")
        assert (await connection.hear("error"))["code"] == "unknown_command"
        assert await connection.still_answers()


# How many frames are taken


async def test_a_lock_that_sends_too_many_frames_is_told_so_and_sent_away(
    house: House, settings: Settings
) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        connection.shout({"type": "time", "t": 1}, times=settings.frame_burst + 100)
        assert (await connection.hear("error"))["code"] == "too_many_frames"
        assert await connection.closed() == 4008


async def test_pings_count_as_frames(house: House, settings: Settings) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        connection.shout_pings(settings.frame_burst + 100)
        assert await connection.closed() == 4008


@pytest.mark.expects_log("result_of_foreign_command")
async def test_what_a_lock_has_to_tell_after_an_outage_is_not_too_much(house: House) -> None:
    at = wire_time(clock.now())
    async with BareLock(house.url, await house.device()).online() as connection:
        for first in range(1, 10_001, 500):
            reports = [
                {"type": "telemetry", "seq": seq, "at": at, "rssi": -60}
                for seq in range(first, first + 500)
            ]
            await connection.say("batch", reports=reports)
        for number in range(100):
            await connection.result(f"long-ago-{number}", "refused", reason="stale")
        while (await connection.hear("ack"))["seq"] < 10_000:
            pass
        assert await connection.still_answers()
