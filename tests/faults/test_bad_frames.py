"""Frames that no lock should send: told, closed with the right code, and felt by nobody else."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.typing import Subprotocol

from server.domain.protocol import MAX_FRAME_BYTES, SUBPROTOCOL
from server.settings import Settings
from tests.faults.processes import Site, Town
from tests.house import command_id_of, until
from tests.journeys.bare_lock import BareLock

FRAME_BURST = Settings().frame_burst


@pytest.fixture
def site(quiet_town: Town) -> Site:
    """An organisation on a server that runs for all these tests."""
    return quiet_town.here


async def bare_lock(site: Site) -> BareLock:
    """A lock that the test plays."""
    return BareLock(site.url, (await site.locks()).all[0])


# Frames that are too much


async def test_compression_is_never_negotiated(site: Site) -> None:
    device = (await site.locks()).all[0]
    async with connect(
        f"{site.url.replace('http', 'ws')}/locks/{device.lock_id}/connect",
        additional_headers={"Authorization": f"Bearer {device.token}"},
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        extensions=[ClientPerMessageDeflateFactory()],
        proxy=None,
    ) as socket:
        response = socket.response
    assert response is not None
    assert "Sec-WebSocket-Extensions" not in response.headers
    assert response.headers["Sec-WebSocket-Protocol"] == SUBPROTOCOL


async def test_a_frame_over_64_kib_ends_the_connection(site: Site) -> None:
    async with (await bare_lock(site)).online() as connection:
        await connection.socket.send(json.dumps({"type": "x", "y": "z" * MAX_FRAME_BYTES}))
        assert await connection.closed() == 1009


async def test_a_frame_that_grows_over_64_kib_in_fragments_ends_the_connection(site: Site) -> None:
    answered = 0
    async with (await bare_lock(site)).online() as connection:

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


async def test_fragments_of_a_message_without_end_count_as_frames(site: Site) -> None:
    async with (await bare_lock(site)).online() as connection:
        connection.shout_fragments(FRAME_BURST + 100)
        assert await connection.closed() == 4008


async def test_a_lock_that_goes_on_after_it_was_sent_away_is_cut(site: Site) -> None:
    async with (await bare_lock(site)).online() as connection:
        connection.stop_reading()  # so it never answers the goodbye
        connection.shout_pings(FRAME_BURST)

        async def is_cut() -> bool:
            connection.shout_pings(300)
            return connection.socket.transport.is_closing()

        # Tornado itself waits for five seconds for the answer to its goodbye.
        assert await until(is_cut, timeout_s=4)


# Frames that cannot be read


async def test_a_binary_frame_ends_the_connection(site: Site) -> None:
    async with (await bare_lock(site)).online() as connection:
        await connection.socket.send(b'{"type": "time", "t": 1}')
        assert await connection.closed() == 1003


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
    site: Site, frame: str
) -> None:
    async with (await bare_lock(site)).online() as connection:
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
    site: Site, text: bytes
) -> None:
    async with (await bare_lock(site)).online() as connection:
        await connection.socket.send(text, text=True)
        assert (await connection.hear("error"))["code"] == "not_json"
        assert await connection.closed() == 4003


async def test_a_broken_frame_does_not_disturb_other_locks(site: Site) -> None:
    broken, good = await bare_lock(site), await bare_lock(site)
    async with broken.online() as bad_connection, good.online() as connection:
        await bad_connection.socket.send("[" * 60_000)
        await bad_connection.closed()
        assert await connection.still_answers()


# Other locks' commands


async def test_a_result_for_another_locks_command_is_refused_and_logged_and_changes_nothing(
    site: Site,
) -> None:
    mine, other = await bare_lock(site), await bare_lock(site)
    key = await site.key(mine)
    async with mine.online() as connection, other.online() as stranger:
        await site.tap_open(key)
        command = await connection.hear("command")
        await stranger.result(command["id"], "opened")
        told = await stranger.hear("error")
        shown = await site.command(command["id"])
    lines = [json.loads(line) for line in site.server.output.splitlines()]
    logged = [line["event"] for line in lines if line.get("lock") == other.lock_id]
    assert told["code"] == "unknown_command"
    assert shown["state"] == "sent"
    assert "result_of_foreign_command" in logged


async def test_an_event_about_another_locks_command_opens_nothing(site: Site) -> None:
    mine, other = await bare_lock(site), await bare_lock(site)
    key = await site.key(mine)
    async with mine.online() as connection, other.online() as stranger:
        tapped = await site.tap_open(key)
        command = await connection.hear("command")
        at = "2026-11-23T08:00:00.000Z"
        await stranger.say("event", seq=1, at=at, event="opened", commandId=command["id"])
        await stranger.hear("error")
        shown = await site.command(command_id_of(tapped))
    assert shown["state"] == "sent"
