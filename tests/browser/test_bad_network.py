"""A guest's tap on a network that loses what it carries: one opening, and the right sentence."""

import asyncio
import re
from urllib.parse import urlsplit

import pytest
from msgspec import structs
from playwright.async_api import Error, Route

from server.settings import Settings
from tests.browser.phone import Phone
from tests.faults.proxy import Proxy, in_front_of
from tests.house import House, until

COMMAND_LIFE_S = 5.0  # a page takes 2 s over slow 3G, and a tap seems older by as much

SLOW_3G = {
    "offline": False,
    "latency": 2000,
    "downloadThroughput": 50_000,
    "uploadThroughput": 50_000,
}

SCRIPT_IS_HERE = """() => performance.getEntriesByType("resource").some(
    (file) => file.name.includes("latchkey.js") && file.responseStatus === 200
)"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, command_life_s=COMMAND_LIFE_S)


class CutsEverySecond(Proxy):
    """Cuts every second connection before it has carried anything."""

    connections = 0

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if self.connections % 2:
            super()._accept(reader, writer)
        else:
            writer.transport.abort()


async def test_the_door_opens_over_slow_3g_where_every_second_connection_is_cut(
    house: House, phone: Phone
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    network = await phone.page.context.new_cdp_session(phone.page)
    await network.send("Network.enable")
    await network.send("Network.emulateNetworkConditions", SLOW_3G)
    server = urlsplit(house.url)
    proxy = CutsEverySecond([(server.hostname or "", server.port or 0)])
    await proxy.let_in()
    try:
        async with lock.connected():
            await _load(phone, f"http://127.0.0.1:{proxy.port}/temp-keys/{key.uuid}")
            await proxy.cut()  # so that the tap needs connections of its own
            before = proxy.connections
            await phone.tap("Open Front door")
            await phone.wait_for_heading("The door is open")
    finally:
        await proxy.keep_out()
    assert proxy.connections > before
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1
    phone.complaints.clear()  # the browser's own, about the connections that were cut


async def test_a_tap_whose_answer_was_lost_is_sent_again_and_opens_once(
    house: House, phone: Phone
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    server = urlsplit(house.url)
    async with in_front_of((server.hostname or "", server.port or 0)) as proxy, lock.connected():
        await phone.page.goto(f"http://127.0.0.1:{proxy.port}/temp-keys/{key.uuid}")
        proxy.to_client.stall()
        await phone.tap("Open Front door")

        async def has_opened() -> bool:
            return len(lock.openings) == 1

        await until(has_opened)
        await proxy.keep_out()
        await phone.page.get_by_text("Your phone has no signal").wait_for()
        proxy.to_client.flow()
        await proxy.let_in()
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1
    phone.complaints.clear()  # the browser's own, about the connection that was cut


async def test_a_tap_that_hung_for_longer_than_a_command_lives_opens_nothing(
    house: House, phone: Phone
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    server = urlsplit(house.url)
    async with in_front_of((server.hostname or "", server.port or 0)) as proxy, lock.connected():
        await phone.page.goto(f"http://127.0.0.1:{proxy.port}/temp-keys/{key.uuid}")
        proxy.to_server.stall()
        await phone.tap("Open Front door")
        await asyncio.sleep(COMMAND_LIFE_S)
        proxy.to_server.flow()
        await phone.wait_for_heading("Your tap came too late")
    assert lock.openings == []
    assert await house.used_count(key) == 0
    phone.complaints.clear()  # the browser's own, about the refusal


async def test_a_tap_that_only_seemed_too_old_is_sent_again_and_opens(
    house: House, phone: Phone
) -> None:
    async def as_if_the_phones_clock_had_slept(route: Route) -> None:
        answer = await route.fetch()
        html = re.sub('data-now="[0-9]+"', 'data-now="0"', await answer.text())
        await route.fulfill(response=answer, body=html)

    lock = await house.lock()
    key = await house.key(lock)
    await phone.page.route(f"**/temp-keys/{key.uuid}", as_if_the_phones_clock_had_slept)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 1
    phone.complaints.clear()  # the browser's own, about the refusal


async def _load(phone: Phone, url: str) -> None:
    """Load a page as a guest does: again, where it did not come."""
    while True:
        try:
            await phone.page.goto(url)
            await phone.page.wait_for_function(SCRIPT_IS_HERE, timeout=8_000)
        except Error:
            continue
        else:
            return
