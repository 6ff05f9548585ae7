"""The confirmation page follows its command: by stream, by polling, and for plain programs."""

import jwt
import pytest

from tests.conftest import JWT_SECRET
from tests.house import House, command_id_of
from tests.journeys.bare_lock import BareLock
from tests.journeys.stream import following


async def test_the_stream_tells_each_step_and_ends_with_the_last(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        tapped = await house.tap_open(key)
        page = await house.visit(tapped.location)
        async with following(house, page) as stream:
            assert await stream.next() == "sent"
            await connection.result(command_id_of(tapped), "accepted")
            assert await stream.next() == "accepted"
            await connection.result(command_id_of(tapped), "opened")
            assert await stream.next() == "opened"
            assert await stream.next() is None


async def test_the_stream_of_a_finished_opening_tells_its_end_and_closes(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        page = await house.visit((await house.tap_open(key)).location)
        async with following(house, page) as stream:
            assert await stream.next() == "opened"
            assert await stream.next() is None


async def test_the_stream_tells_that_a_command_ran_out_of_time(house: House) -> None:
    key = await house.key(await house.lock())
    page = await house.visit((await house.tap_open(key)).location)
    async with following(house, page) as stream:
        assert await stream.next() == "waiting"
        assert await stream.next() == "offline"
        assert await stream.next() is None


async def test_the_page_that_is_asked_again_and_again_goes_from_sent_to_opened(
    house: House,
) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    headings: list[str] = []
    async with lock.online() as connection:
        tapped = await house.tap_open(key)
        for step in ("accepted", "opened"):
            headings.append((await house.visit(tapped.location)).text("h1"))
            await connection.result(command_id_of(tapped), step)
            await house.until_state(command_id_of(tapped), step)
        headings.append((await house.visit(tapped.location)).text("h1"))
    assert headings == ["Sent to the lock", "The lock has it", "The door is open"]


async def test_without_script_the_page_asks_again_until_the_state_is_final(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        tapped = await house.tap_open(key)
        before = await house.visit(tapped.location)
        await connection.result(command_id_of(tapped), "opened")
        await house.until_state(command_id_of(tapped), "opened")
        after = await house.visit(tapped.location)
    assert before.html.select_one('noscript meta[http-equiv="refresh"][content="2"]') is not None
    assert after.html.select_one('meta[http-equiv="refresh"]') is None


async def test_a_program_with_two_credentials_and_offline_null_gets_the_page(house: House) -> None:
    key = await house.key(await house.lock())
    token = jwt.encode({"sub": "somebody"}, JWT_SECRET, algorithm="HS256")
    page = await house.fetch(
        f"/temp-keys/{key.uuid}/confirmation?offline=null",
        Authorization=f"Bearer {token}",
        X_API_Key=house.api_key,
        Accept="*/*",
    )
    assert page.status == 200
    assert page.response.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert page.text("h1") == "Open command sent"


async def test_the_page_shows_the_lock_and_leads_back_to_the_key(house: House) -> None:
    lock = await house.lock("Garden gate")
    key = await house.key(lock)
    async with lock.connected():
        await lock.report(battery=11)
        page = await house.visit((await house.tap_open(key)).location)
    assert page.text(".where") == "Garden gate"
    assert page.text("#facts section dd:nth-of-type(1)") == "Garden gate"
    assert "The battery of this lock is low." in page.text(".notice.battery")
    assert page.html.select_one(f'a.button[href="/temp-keys/{key.uuid}"]') is not None


async def test_a_command_of_another_key_is_not_shown(house: House) -> None:
    lock = await house.lock()
    mine, other = await house.key(lock), await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(other)
    path = f"/temp-keys/{mine.uuid}/confirmation?command={command_id_of(tapped)}"
    page = await house.visit(path)
    assert page.text("h1") == "Open command sent"


@pytest.mark.parametrize("door", ["0", "-1", "front", "1.5", "9" * 40])
async def test_a_malformed_door_is_a_clear_error(house: House, door: str) -> None:
    key = await house.key(await house.lock())
    page = await house.fetch(f"/temp-keys/{key.uuid}/confirmation?door={door}")
    assert page.status == 400
    assert page.json()["reason"] == "invalid_input"


@pytest.mark.parametrize("path", ["", "/confirmation", "/confirmation/stream?command=none"])
async def test_guest_pages_are_private_and_run_no_foreign_code(house: House, path: str) -> None:
    key = await house.key(await house.lock())
    headers = (await house.visit(f"/temp-keys/{key.uuid}{path}")).response.headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Robots-Tag"] == "noindex, nofollow"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]


async def test_the_log_never_shows_the_uuid_of_a_key(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await house.visit((await house.tap_open(key)).location)
        await house.visit(f"/temp-keys/{key.uuid}/doors/none/open")
    assert "/temp-keys/…/confirmation" in caplog.text
    assert key.uuid not in caplog.text
