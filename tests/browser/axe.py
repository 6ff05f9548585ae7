"""axe-core in the browser: what a page keeps from people who see, hear or move differently.

``assert await problems(page) == []`` is all that a test of a page needs.
"""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Literal, NamedTuple

from playwright.async_api import Page

_AXE_CORE = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
# Every rule but the experimental ones: WCAG 2.0 to 2.2, A and AA, and axe's best practices.
_RUN = "() => axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)"
_OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_CUT_OFF = (Path(__file__).parent / "cut_off.js").read_text()


class Look(NamedTuple):
    """A way to look at a page. ``width`` None leaves the window as it is."""

    name: str
    colours: Literal["light", "dark"]
    width: int | None


LOOKS = (
    Look("light", "light", None),
    Look("dark", "dark", None),
    Look("at 320 px", "light", 320),
    Look("at 200 %", "light", 640),  # of a window 1280 px wide, as a browser's zoom does it
)
TRANSLATED = (Look("translated", "dark", None), Look("translated, at 320 px", "light", 320))
"""For a page that was looked at in English before: its words are longer, or run from the right."""


async def problems(page: Page, looks: Sequence[Look] = LOOKS) -> list[str]:
    """What is wrong with the page as it is now, in each of these looks; a line each.

    It must not scroll sideways (WCAG 1.4.10) nor cut a text off (1.4.4). Afterwards the page is
    shown as before, but stays without animations, which would hide what it looks like at rest.
    """
    window = page.viewport_size
    found: list[str] = []
    try:
        for look in looks:
            await _look(page, look)
            found += [f"{look.name}: {problem}" for problem in await _problems_now(page)]
    finally:
        await page.emulate_media(color_scheme="null", reduced_motion="reduce")
        if window is not None:
            await page.set_viewport_size(window)
    return found


async def _look(page: Page, look: Look) -> None:
    await page.emulate_media(color_scheme=look.colours, reduced_motion="reduce")
    if look.width is not None:
        window = page.viewport_size
        await page.set_viewport_size(
            {"width": look.width, "height": window["height"] if window is not None else 640}
        )


async def _problems_now(page: Page) -> list[str]:
    # ``evaluate`` goes past the page's content security policy; a script element would not.
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(_AXE_CORE)
    found = [
        f"{violation['id']}: {violation['help']}: {node['html']} ({node['failureSummary']})"
        for violation in await page.evaluate(_RUN)
        for node in violation["nodes"]
    ]
    if overflow := await page.evaluate(_OVERFLOW):
        found.append(f"reflow: the page is {overflow} px wider than its window")
    found += [f"cut off: {words}" for words in await page.evaluate(_CUT_OFF)]
    return found
