"""A guest's phone: a real Chromium with one page."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from tests.programs import program

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

    def _hear(self, message: ConsoleMessage) -> None:
        # That the page itself was answered with an error is no complaint about the page.
        is_about_its_status = (
            message.text.startswith("Failed to load resource: the server responded with")
            and message.location.get("url") == self.page.url
        )
        if message.type in ("error", "warning") and not is_about_its_status:
            self.complaints.append(message.text)


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    """A running browser; without a Chromium the test is skipped, see ``program``."""
    path = program("chromium", "chromium-browser", package="chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=OPTIONS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def phone_in(browser: Browser, url: str, *, script: bool = True) -> AsyncIterator[Phone]:
    """A phone that visits this server; whatever its pages complained about fails the test."""
    context = await browser.new_context(
        viewport={"width": 390, "height": 844}, java_script_enabled=script, locale="en-GB"
    )
    phone = Phone(await context.new_page(), url)
    yield phone
    await context.close()
    assert phone.complaints == []
