"""Every page in every state, as a person sees it: axe-core finds nothing wrong with any.

``./latchkey screenshots`` runs this with a folder to keep what each page looks like in. Whoever
has more pages adds another list of them to ``GALLERIES``.
"""

import os
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser.axe import problems
from tests.browser.guest_pages import guest_pages
from tests.browser.phone import Phone
from tests.house import House

GALLERIES = {"guest": guest_pages}
WINDOWS = {"phone": (390, 844), "desktop": (1280, 800)}
FOLDER = os.environ.get("LATCHKEY_SCREENSHOTS")


@pytest.mark.parametrize("gallery", GALLERIES)
async def test_every_page_is_good_for_everybody(house: House, phone: Phone, gallery: str) -> None:
    found: dict[str, list[str]] = {}
    async for shown in GALLERIES[gallery](house):
        await phone.visit(shown.path)
        if FOLDER is not None:
            await photograph(phone.page, Path(FOLDER) / gallery, shown.name)
        if wrong := await problems(phone.page):
            found[shown.name] = wrong
    assert found == {}


async def photograph(page: Page, folder: Path, name: str) -> None:
    """Keep what a page looks like: light and dark, on a phone and on a desk."""
    folder.mkdir(parents=True, exist_ok=True)
    for window, (width, height) in WINDOWS.items():
        await page.set_viewport_size({"width": width, "height": height})
        for colours in ("light", "dark"):
            await page.emulate_media(color_scheme=colours, reduced_motion="reduce")
            file = folder / f"{name}-{window}-{colours}.png"
            await page.screenshot(path=file, full_page=True)
    width, height = WINDOWS["phone"]
    await page.set_viewport_size({"width": width, "height": height})
