"""A guest's phone: a real Chromium that looks at the running server."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright
from tornado.ioloop import IOLoop

from tests.house import House
from tests.programs import program

SCREENSHOTS = Path(__file__).resolve().parents[1] / "screenshots"
OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Phone:
    """A guest's browser with one page, which notes whatever the page complains about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._url = url
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(20_000)

    async def visit(self, path: str) -> None:
        """Open a page."""
        await self.page.goto(self._url + path)

    async def tap(self, name: str) -> None:
        """Tap a button."""
        await self.page.get_by_role("button", name=name).click()

    async def wait_for_heading(self, words: str) -> None:
        """Wait until the page's heading is ``words``."""
        await self.page.get_by_role("heading", level=1, name=words, exact=True).wait_for()

    async def screenshot(self, name: str) -> None:
        """Keep what the page looks like."""
        SCREENSHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def _hear(self, message: ConsoleMessage) -> None:
        # That the page itself was answered with an error is no complaint about the page.
        is_about_its_status = (
            message.text.startswith("Failed to load resource: the server responded with")
            and message.location.get("url") == self.page.url
        )
        if message.type in ("error", "warning") and not is_about_its_status:
            self.complaints.append(message.text)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    return program("chromium", "chromium-browser", package="chromium")


@pytest.fixture
def browser(io_loop: IOLoop, chromium: str) -> Iterator[Browser]:
    """A running browser."""
    running = _browser(chromium)
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


@asynccontextmanager
async def _browser(path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            await browser.close()


@pytest.fixture
def phone(io_loop: IOLoop, browser: Browser, house: House) -> Iterator[Phone]:
    """A guest's phone; whatever its pages complained about fails the test."""
    phone = io_loop.run_sync(lambda: _phone(browser, house, script=True))
    yield phone
    io_loop.run_sync(phone.page.context.close)
    assert phone.complaints == []


@pytest.fixture
def phone_without_script(io_loop: IOLoop, browser: Browser, house: House) -> Iterator[Phone]:
    """A phone whose browser runs no script."""
    phone = io_loop.run_sync(lambda: _phone(browser, house, script=False))
    yield phone
    io_loop.run_sync(phone.page.context.close)
    assert phone.complaints == []


async def _phone(browser: Browser, house: House, script: bool) -> Phone:
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, java_script_enabled=script, locale="en-GB"
    )
    return Phone(await context.new_page(), house.url)
