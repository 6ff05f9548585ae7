"""An operator at the desk, in a real browser: what is on the pages, and who can use them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser
from tornado.ioloop import IOLoop

from server import clock
from tests.browser.phone import Phone
from tests.house import House

HAS_FOCUS = "(wanted) => document.activeElement.matches(wanted)"
AS_IT_IS_SEEN = """(cell) => {
    const letters = [], texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        for (let at = 0; at < texts.currentNode.length; at++) {
            const range = document.createRange();
            range.setStart(texts.currentNode, at);
            range.setEnd(texts.currentNode, at + 1);
            letters.push([range.getBoundingClientRect().left, range.toString()]);
        }
    }
    return letters.sort(([one], [other]) => one - other).map(([, letter]) => letter).join("");
}"""
"""The letters of a cell of one line, from left to right."""


@asynccontextmanager
async def _desk(browser: Browser, house: House, script: bool) -> AsyncIterator[Phone]:
    context = await browser.new_context(
        viewport={"width": 1280, "height": 900}, java_script_enabled=script, locale="en-GB"
    )
    desk = Phone(await context.new_page(), house.url)
    await desk.visit("/dashboard")
    await desk.page.get_by_label("API key or token").fill(house.api_key)
    await desk.tap("Sign in")
    yield desk
    await context.close()


@pytest.fixture
def desk(io_loop: IOLoop, browser: Browser, house: House) -> Iterator[Phone]:
    """A desk at which the house's operator has signed in."""
    running = _desk(browser, house, script=True)
    desk = io_loop.run_sync(running.__aenter__)
    yield desk
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))
    assert desk.complaints == []


@pytest.fixture
def desk_without_script(io_loop: IOLoop, browser: Browser, house: House) -> Iterator[Phone]:
    """The same in a browser that runs no script."""
    running = _desk(browser, house, script=False)
    desk = io_loop.run_sync(running.__aenter__)
    yield desk
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


async def test_a_row_changes_when_its_lock_is_switched_on_and_off(
    house: House, desk: Phone
) -> None:
    lock = await house.lock("Garden gate")
    await desk.visit("/dashboard")
    row = desk.page.get_by_role("row", name="Garden gate")
    await row.get_by_text("Never connected").wait_for()
    await desk.page.locator("#live.is-on").wait_for()
    async with lock.connected():
        await lock.report(battery=64)
        await row.get_by_text("Online", exact=True).wait_for()
        await row.get_by_text("64 %").wait_for()
    await row.get_by_text("Offline", exact=True).wait_for()


async def test_the_offline_lock_is_found_and_its_page_says_why(house: House, desk: Phone) -> None:
    lock = await house.lock("Lighthouse")
    await house.device("Attic")
    async with lock.connected():
        pass
    await house.until_offline(lock)
    await desk.visit("/dashboard")
    await desk.page.get_by_role("link", name="Offline 1").click()
    await desk.page.get_by_role("link", name="Lighthouse").click()
    await desk.wait_for_heading("Lighthouse")
    await desk.page.get_by_role("row", name="It closed the connection").wait_for()


async def test_a_key_is_issued_shared_explained_and_revoked(house: House, desk: Phone) -> None:
    device = await house.device("Garden gate")
    page = desk.page
    await desk.visit(f"/dashboard/locks/{device.lock_id}")
    await page.get_by_role("link", name="Issue a key").click()
    await page.get_by_label("Who is it for?").fill("Ms Lind")
    until = await page.get_by_label("Until", exact=True).first.input_value()
    await page.get_by_label("Until", exact=True).first.fill("2020-01-01T10:00")
    await desk.tap("Issue the key")
    await page.get_by_text("The key was not issued").wait_for()
    await page.locator("#valid_until-wrong").wait_for()
    assert await page.get_by_label("Who is it for?").input_value() == "Ms Lind"
    await page.get_by_label("Until", exact=True).first.fill(until)
    await desk.tap("Issue the key")
    await desk.wait_for_heading("Ms Lind")
    link = await page.locator("#link").input_value()
    assert (await house.visit(link.removeprefix(house.url))).status == 200
    qr = page.get_by_role("img", name="The link as a QR code")
    assert await qr.evaluate("image => image.complete && image.naturalWidth > 0")
    await page.get_by_label("When, at the door").fill(f"{clock.now().year + 3}-11-29T23:30")
    await desk.tap("Ask")
    await page.get_by_text("No: Garden gate does not open").wait_for()
    await page.get_by_text("Revoke this key").click()
    await desk.tap("Revoke the key")
    await page.get_by_text("Revoked", exact=True).wait_for()
    guest = await house.visit(link.removeprefix(house.url))
    assert guest.text("h1") == "Your key was revoked"


async def test_a_lock_opens_from_the_desk_without_script(
    house: House, desk_without_script: Phone
) -> None:
    lock = await house.lock("Garden gate")
    page = desk_without_script.page
    async with lock.connected():
        await desk_without_script.visit(f"/dashboard/locks/{lock.lock_id}")
        await page.get_by_label("Reason").fill("Guest without a phone")
        await desk_without_script.tap("Open Garden gate")
        await page.locator("#asked", has_text="Opened").wait_for()


@pytest.mark.parametrize("name", ["مخزن السطح", "Cellar \u202e"], ids=["Arabic", "steers"])
async def test_a_name_stays_in_its_place_whichever_way_it_runs(
    house: House, desk: Phone, name: str
) -> None:
    await house.device(name)
    await desk.visit("/dashboard")
    from_left_to_right = await desk.page.locator("tbody th").evaluate(AS_IT_IS_SEEN)
    assert from_left_to_right.endswith("#1")


async def test_events_come_in_while_the_page_is_open(house: House, desk: Phone) -> None:
    device = await house.device("Garden gate")
    await desk.visit("/dashboard/events")
    await desk.page.locator("#live.is-on").wait_for()
    await house.manage("POST", f"/locks/{device.lock_id}/AddKey", {"keyUuid": "card"})
    line = desk.page.locator("#feed li", has_text="Card or fob added")
    await line.get_by_role("link", name="Garden gate").wait_for()


async def test_a_page_whose_session_has_ended_leads_to_the_sign_in(
    house: House, desk: Phone
) -> None:
    await desk.page.add_init_script("Math.random = () => 0")  # it waits no longer than it must
    await desk.visit("/dashboard/events")
    await desk.page.locator("#live.is-on").wait_for()
    (cookie,) = await desk.page.context.cookies()
    await house.services.operator_sessions.end(cookie.get("value", ""))  # in another tab, say
    house.services.fleet_feed.end_all()
    await desk.wait_for_heading("Sign in to the dashboard")
    assert desk.page.url.endswith("/dashboard/sign-in?next=%2Fdashboard%2Fevents")
    desk.complaints.clear()  # the browser's own, about answers that were errors


async def test_the_keyboard_alone_finds_a_lock_and_opens_it(house: House, desk: Phone) -> None:
    lock = await house.lock("Garden gate")
    keyboard = desk.page.keyboard

    async def tab_to(wanted: str) -> None:
        for _ in range(20):
            await keyboard.press("Tab")
            if await desk.page.evaluate(HAS_FOCUS, wanted):
                return
        raise AssertionError(f"the Tab key does not lead to {wanted}")

    async with lock.connected():
        await desk.visit("/dashboard")
        await keyboard.press("Tab")
        await keyboard.press("Enter")  # skip to the content
        await tab_to(f"a[href='/dashboard/locks/{lock.lock_id}']")
        await keyboard.press("Enter")
        await desk.wait_for_heading("Garden gate")
        await tab_to("#reason")
        await keyboard.type("Guest without a phone")
        await keyboard.press("Enter")
        await desk.page.locator("#asked", has_text="Opened").wait_for()
    assert len(lock.openings) == 1
