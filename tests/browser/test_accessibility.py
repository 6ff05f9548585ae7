"""What looks at the pages of the galleries sees what is wrong with a page."""

from tests.browser.axe import problems
from tests.browser.phone import Phone
from tests.house import House

WRONG = """
    document.querySelector("h1").outerHTML = "<textarea cols=60></textarea><button></button>";
    const lead = document.querySelector(".lead");
    lead.style.cssText = "overflow: hidden; block-size: 3px";
"""


async def test_what_is_wrong_with_a_page_is_found_in_each_way_to_look_at_it(
    house: House, phone: Phone
) -> None:
    key = await house.key(await house.lock())
    await phone.visit(f"/temp-keys/{key.uuid}")
    assert await problems(phone.page) == []
    await phone.page.evaluate(WRONG)
    found = "\n".join(await problems(phone.page))
    assert "light: label" in found
    assert "dark: button-name" in found
    assert "at 320 px: reflow" in found
    assert "at 200 %: cut off: When you stand at the door" in found
