"""A lock that puts markup, formulas and letters that steer into all that it says of itself."""

import re

import pytest

from server import clock
from server.domain.times import wire_time
from tests.handlers.dashboard.desk import Desk
from tests.house import House, command_id_of, until
from tests.journeys.bare_lock import BareConnection, BareLock

STEERING = "\x1b[2J\x00\n\u202e\u2066\u200f"
FIRMWARE = f"<img src=x onerror=1>{STEERING}"
MODEL = f"=HYPERLINK(1){STEERING}</td><script>1</script>"
REASON = f"@SUM(1)<blink>now</blink>{STEERING}"
DETAIL = f"<script>1</script>{STEERING}" * 10
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


async def says_all_that_it_can(house: House, lock: BareConnection, key_uuid: str) -> str:
    """Hello, an event and what became of an opening, each with hostile words; the command."""
    at = wire_time(clock.now())
    await lock.say("hello", firmware=FIRMWARE, model=MODEL, epoch="e", lastSeq=0)
    await lock.hear("welcome")
    await lock.say("event", seq=1, at=at, event="tampered", detail=DETAIL)
    await lock.hear("ack")
    tapped = await house.fetch(f"/temp-keys/{key_uuid}/open", "POST", "", Accept="text/html")
    command = await lock.hear("command")
    await lock.result(command["id"], "failed", reason=REASON)
    await house.until_state(command_id_of(tapped), "failed")
    return tapped.location


async def test_what_a_lock_says_is_shown_as_words_wherever_people_read_it(
    house: House, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    device = await house.device()
    key = await house.key(device)
    async with BareLock(house.url, device).connection() as connection:
        confirmation = await says_all_that_it_can(house, connection, key.uuid)
        desk = await Desk.of(house)
        events = "/dashboard/events.csv"

        async def told() -> bool:
            text = (await desk.visit(events)).response.body.decode()
            return "LockOpenFailed" in text and "LockTampered" in text

        await until(told)
        lock_page = f"/dashboard/locks/{device.lock_id}"
        pages = [await desk.visit(path) for path in ("/dashboard", lock_page, "/dashboard/events")]
        pages.append(await house.visit(confirmation))
        tables = [await desk.visit(events), await desk.visit("/dashboard/events.jsonl")]
        tables.append(await house.manage("GET", f"/locks/{device.lock_id}/debug/messages"))

    assert "<img src=x onerror=1>�" in pages[0].html.get_text()
    assert "@SUM(1)<blink>now</blink>�" in pages[1].html.get_text()
    for page in pages:
        assert page.status == 200
        assert page.html.select("img[src=x], blink") == []
        assert not [script for script in page.html.find_all("script") if not script.get("src")]
    for answer in [*pages, *tables]:
        assert STEERS.findall(answer.response.body.decode().replace("\r\n", "\n")) == []
    assert not re.search(r"(^|,)\"?[=@+-]\D", tables[0].response.body.decode(), re.MULTILINE)
    logged = [str(value) for line in caplog.records for value in dict(line.msg).values()]  # type: ignore[call-overload]  # structlog's are mappings
    assert any("@SUM(1)" in value for value in logged)
    assert [value for value in logged if STEERS.search(value)] == []


@pytest.mark.parametrize("words", [{"firmware": "x" * 65}, {"model": "x" * 60_000}])
async def test_a_lock_that_says_too_much_of_itself_is_not_let_in(
    house: House, words: dict[str, str]
):
    device = await house.device()
    async with BareLock(house.url, device).connection() as connection:
        said = {"firmware": "1", "model": "m", "epoch": "e", "lastSeq": 0} | words
        await connection.say("hello", **said)
        assert (await connection.hear("error"))["code"] == "invalid"
        assert await connection.closed() == 4003
    assert not (await house.connection(device))["online"]
