"""axe-core finds nothing wrong with what a guest sees."""

import pytest

from simulator.options import LockOptions
from tests.browser.axe import problems
from tests.browser.phone import Phone
from tests.house import House


async def test_axe_sees_what_is_wrong(house: House, phone: Phone) -> None:
    key = await house.key(await house.lock())
    await phone.visit(f"/temp-keys/{key.uuid}")
    await phone.page.evaluate(
        "document.querySelector('h1').outerHTML = '<textarea cols=60></textarea><button></button>'"
    )
    found = "\n".join(await problems(phone.page))
    assert "light: label" in found
    assert "dark: button-name" in found
    assert "at 320 px: reflow" in found


async def test_a_key_with_warnings_and_the_page_after_its_tap(house: House, phone: Phone) -> None:
    lock = await house.lock(options=LockOptions(jammed=True, battery=9))
    key = await house.key(lock)
    async with lock.connected():
        await lock.wait_acknowledged()
        await phone.visit(f"/temp-keys/{key.uuid}")
        assert await problems(phone.page) == []
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The bolt is jammed")
        assert await problems(phone.page) == []


@pytest.mark.parametrize("path", ["/temp-keys/no-such-key", "/no-such-page"])
async def test_an_error_page(phone: Phone, path: str) -> None:
    await phone.visit(path)
    assert await problems(phone.page) == []
