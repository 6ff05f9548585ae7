"""Every page in every state, as a person sees it: axe-core finds nothing wrong with any.

``./latchkey screenshots`` runs this with a folder to keep what each page looks like in. A new
page or state belongs into the list of its gallery.
"""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import structs
from playwright.async_api import Page

from server.settings import Secret, Settings
from server.storage.mongo import Database
from tests.browser.axe import LOOKS, TRANSLATED, problems
from tests.browser.dashboard_pages import dashboard_pages
from tests.browser.guest_pages import guest_pages
from tests.browser.phone import Phone
from tests.browser.shown import Shown
from tests.house import House

LOOK_WITHIN_S = 300
"""Fifty pages, each in many ways: most of it is the browser's work."""
WINDOWS = {"phone": (390, 844), "desktop": (1280, 800)}
FOLDER = os.environ.get("LATCHKEY_SCREENSHOTS")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, pin_secret=Secret("a secret for the PINs of these tests"))


@pytest.mark.gen_test(timeout=LOOK_WITHIN_S)
@pytest.mark.timeout(LOOK_WITHIN_S + 30)
@pytest.mark.expects_log("request_broke")  # a page of the gallery is what a guest sees then
async def test_every_page_for_guests_is_good_for_everybody(
    house: House, phone: Phone, database: Database
) -> None:
    found = await look_at_all(guest_pages(house, phone, database), phone, "guest")
    phone.complaints.clear()  # the browser's own, about refusals and the network that was away
    assert found == {}


@pytest.mark.gen_test(timeout=LOOK_WITHIN_S)
@pytest.mark.timeout(LOOK_WITHIN_S + 30)
async def test_every_page_for_operators_is_good_for_everybody(house: House, phone: Phone) -> None:
    await use_window(phone.page, "desktop")
    found = await look_at_all(dashboard_pages(house, phone), phone, "dashboard")
    phone.complaints.clear()  # the browser's own, about refusals
    assert found == {}


async def look_at_all(
    gallery: AsyncIterator[Shown], phone: Phone, name: str
) -> dict[str, list[str]]:
    """Look at each page, and keep pictures where they are wanted; what is wrong with which."""
    found: dict[str, list[str]] = {}
    async for shown in gallery:
        if shown.path is not None:
            await phone.visit(shown.path)
        if FOLDER is not None:
            await photograph(phone.page, Path(FOLDER) / name, shown.name)
        language = re.search("lang=(..)", shown.path or "lang=en")
        is_translated = language is not None and language[1] != "en"
        wrong = await problems(phone.page, TRANSLATED if is_translated else LOOKS)
        if name == "guest" and shown.path is not None and language is None:
            await phone.visit(f"{shown.path}{'&' if '?' in shown.path else '?'}lang=ar")
            wrong += await problems(phone.page, TRANSLATED)
        if wrong:
            found[shown.name] = wrong
    return found


async def photograph(page: Page, folder: Path, name: str) -> None:
    """Keep what a page looks like: light and dark, on a phone and on a desk."""
    folder.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    for window in WINDOWS:
        await use_window(page, window)
        for colours in ("light", "dark"):
            await page.emulate_media(color_scheme=colours, reduced_motion="reduce")
            file = folder / f"{name}-{window}-{colours}.png"
            await page.screenshot(path=file, full_page=True)
    if before is not None:
        await page.set_viewport_size(before)


async def use_window(page: Page, name: str) -> None:
    width, height = WINDOWS[name]
    await page.set_viewport_size({"width": width, "height": height})
