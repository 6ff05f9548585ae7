"""The lock's end of the protocol: who is let in, which frames are taken, and what ends it."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from server import clock
from server.domain.protocol import MAX_FRAME_BYTES, SUBPROTOCOL
from server.domain.times import wire_time
from server.settings import Settings
from tests.house import House, Page, until
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


async def test_compression_is_never_negotiated(house: House) -> None:
    device = await house.device()
    async with connect(
        f"{house.url.replace('http', 'ws')}/locks/{device.lock_id}/connect",
        additional_headers={"Authorization": f"Bearer {device.token}"},
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        extensions=[ClientPerMessageDeflateFactory()],
        proxy=None,
    ) as socket:
        response = socket.response
    assert response is not None
    assert "Sec-WebSocket-Extensions" not in response.headers
    assert response.headers["Sec-WebSocket-Protocol"] == SUBPROTOCOL


# Which frames are taken


async def test_a_binary_frame_ends_the_connection(house: House) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        await connection.socket.send(b'{"type": "time", "t": 1}')
        assert await connection.closed() == 1003


async def test_a_frame_over_64_kib_ends_the_connection(house: House) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        await connection.socket.send(json.dumps({"type": "x", "y": "z" * MAX_FRAME_BYTES}))
        assert await connection.closed() == 1009


async def test_a_frame_that_grows_over_64_kib_in_fragments_ends_the_connection(
    house: House,
) -> None:
    answered = 0
    async with BareLock(house.url, await house.device()).online() as connection:

        async def fragments() -> AsyncIterator[str]:
            nonlocal answered
            for _ in range(80):
                yield "x" * 1000
                await (await connection.socket.ping())
                answered += 1

        with suppress(ConnectionClosed):
            await connection.socket.send(fragments())
        assert await connection.closed() == 1009
    assert answered >= 60  # pings between the fragments


BROKEN = {
    "no JSON": "hello",
    "empty": "",
    "a list": "[]",
    "a number": "17",
    "no type": '{"t": 1}',
    "a number as type": '{"type": 1}',
    "not a number": '{"type": "time", "t": NaN}',
    "nested beyond reason": '{"type": "time", "t": ' + "[" * 30_000 + "]" * 30_000 + "}",
    "a huge integer": '{"type": "telemetry", "seq": ' + "9" * 5000 + "}",
    "a missing field": '{"type": "telemetry", "seq": 1}',
    "a time without an offset": '{"type": "telemetry", "seq": 1, "at": "2026-11-23T08:00:00"}',
    "an empty batch": '{"type": "batch", "reports": []}',
    "a second hello": (
        '{"type": "hello", "firmware": "1", "model": "m", "epoch": "e", "lastSeq": 0}'
    ),
}


@pytest.mark.parametrize("frame", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_frame_is_answered_with_an_error_and_ends_the_connection(
    house: House, frame: str
) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        await connection.socket.send(frame)
        assert (await connection.hear("error"))["message"]
        assert await connection.closed() == 4003


NOT_UTF_8 = {
    "in a word": b'{"type": "\xff\xfe"}',
    "in a field that nobody reads": b'{"type": "time", "t": 1, "mood": "\xff"}',
    "half of a pair": b'{"type": "\xed\xa0\x80"}',
    "very long": b'{"type": "' + b"\xff" * 60_000 + b'"}',
}


@pytest.mark.parametrize("text", NOT_UTF_8.values(), ids=NOT_UTF_8.keys())
async def test_text_that_is_not_utf_8_is_answered_with_an_error_and_ends_the_connection(
    house: House, text: bytes
) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        await connection.socket.send(text, text=True)
        assert (await connection.hear("error"))["code"] == "not_json"
        assert await connection.closed() == 4003


async def test_a_broken_frame_does_not_disturb_other_locks(house: House) -> None:
    broken, good = [BareLock(house.url, await house.device()) for _ in range(2)]
    async with broken.online() as bad_connection, good.online() as connection:
        await bad_connection.socket.send("[" * 60_000)
        await bad_connection.closed()
        assert await connection.still_answers()


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
async def test_a_result_for_another_locks_command_is_refused_and_changes_nothing(
    house: House,
) -> None:
    mine, other = [BareLock(house.url, await house.device()) for _ in range(2)]
    key = await house.key(mine)
    async with mine.online() as connection, other.online() as stranger:
        tap = asyncio.create_task(house.tap_open(key))
        command = await connection.hear("command")
        await tap
        await stranger.result(command["id"], "opened")
        told = await stranger.hear("error")
        shown = await house.command(command["id"])
    assert told["code"] == "unknown_command"
    assert shown["state"] == "sent"


@pytest.mark.expects_log("result_of_foreign_command")
async def test_an_event_about_another_locks_command_opens_nothing(house: House) -> None:
    mine, other = [BareLock(house.url, await house.device()) for _ in range(2)]
    key = await house.key(mine)
    async with mine.online() as connection, other.online() as stranger:
        tap = asyncio.create_task(house.tap_open(key))
        command = await connection.hear("command")
        await tap
        at = "2026-11-23T08:00:00.000Z"
        await stranger.say("event", seq=1, at=at, event="opened", commandId=command["id"])
        await stranger.hear("error")
        shown = await house.command(command["id"])
    assert shown["state"] == "sent"


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


async def test_fragments_of_a_message_without_end_count_as_frames(
    house: House, settings: Settings
) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        connection.shout_fragments(settings.frame_burst + 100)
        assert await connection.closed() == 4008


async def test_a_lock_that_goes_on_after_it_was_sent_away_is_cut(
    house: House, settings: Settings
) -> None:
    async with BareLock(house.url, await house.device()).online() as connection:
        connection.stop_reading()  # so it never answers the goodbye
        connection.shout_pings(settings.frame_burst)

        async def is_cut() -> bool:
            connection.shout_pings(300)
            return connection.socket.transport.is_closing()

        # Tornado itself waits for five seconds for the answer to its goodbye.
        assert await until(is_cut, timeout_s=4)


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
