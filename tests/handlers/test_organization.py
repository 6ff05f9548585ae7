"""An organisation's own look, set by it and seen by its guests."""

import base64
import re

import pytest

from tests.house import House
from tests.server.domain.test_brand import png

BRAND = {
    "name": "Hotel Aurora",
    "accentColor": "#0b5fd0",
    "phone": "+39 06 1234",
    "email": "desk@aurora.example",
}


async def test_an_organisation_sees_and_changes_itself(house: House) -> None:
    changed = (await house.manage("PATCH", "/organization", BRAND)).json()
    assert changed == {"id": house.organization.id, "logoUrl": None, **BRAND}
    cleared = await house.manage("PATCH", "/organization", {"phone": None})
    assert cleared.json() == {**changed, "phone": None}
    assert (await house.manage("GET", "/organization")).json() == cleared.json()


@pytest.mark.parametrize(
    "wrong",
    [
        {"accentColor": "#808080"},
        {"accentColor": "red"},
        {"phone": "javascript:alert(1)"},
        {"email": "nobody"},
        {"name": ""},
        {"logo": "PHN2Zy8+"},
        {"logo": "not base64!"},
    ],
)
async def test_what_would_spoil_the_page_is_refused(house: House, wrong: dict[str, str]) -> None:
    refused = await house.manage("PATCH", "/organization", wrong)
    assert (refused.status, refused.json()["reason"]) == (400, "invalid_input")
    assert (await house.manage("GET", "/organization")).json()["name"] == "Test house"


async def test_a_logo_is_served_from_here_and_kept_until_it_changes(house: House) -> None:
    first, second = png(64, 32), png(32, 32)
    urls: list[str] = []
    for data in (first, second):
        logo = base64.b64encode(data).decode()
        answer = await house.manage("PATCH", "/organization", {"logo": logo})
        urls.append(answer.json()["logoUrl"])
    shown = await house.fetch(urls[1])
    assert shown.response.body == second
    assert shown.response.headers["Content-Type"] == "image/png"
    assert shown.response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert "sandbox" in shown.response.headers["Content-Security-Policy"]
    assert (await house.fetch(urls[0])).status == 404


async def test_guests_see_whose_key_it_is_on_every_page_of_it(house: House) -> None:
    logo = base64.b64encode(png(64, 32)).decode()
    await house.manage("PATCH", "/organization", {**BRAND, "logo": logo})
    lock = await house.lock()
    key = await house.key(lock)
    tapped = await house.tap_open(key)
    pages = [
        f"/temp-keys/{key.uuid}",
        tapped.location,
        f"/temp-keys/{key.uuid}/confirmation?door=9",
    ]
    for path in pages:
        page = await house.visit(path)
        assert page.text("header") == "Hotel Aurora"
        assert page.text("title").endswith(" · Hotel Aurora")
        assert page.html.select('a[href="tel:+39061234"]')
        assert page.html.select('a[href="mailto:desk@aurora.example"]')
        (picture,) = page.html.select("header img")
        assert (picture["width"], picture["height"]) == ("80", "40")
        # The one style of the page is let in by its digest, and nothing else is.
        policy = page.response.headers["Content-Security-Policy"]
        assert re.search(r"style-src 'self' 'sha256-[\w+/]{43}='; ", policy)
        assert "unsafe" not in policy


async def test_a_link_that_leads_nowhere_is_nobodys(house: House) -> None:
    await house.manage("PATCH", "/organization", BRAND)
    assert (await house.visit("/temp-keys/nope")).text("header") == "Latchkey"
