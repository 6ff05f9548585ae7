"""What goes over the wire in gzip, what must not, and how much it is."""

import gzip
from collections.abc import Callable

import pytest
from tornado.httpclient import HTTPRequest, HTTPResponse

from tests.handlers.dashboard.desk import Desk
from tests.house import BROWSER, House, Page, raw_answer

BUDGET = 14 * 1024
"""Of both pages of the guest's way and all that they load, but for a logo. As much as a server
may send in its first round trip (ten packets of TCP)."""

ASSETS = {"style": 'link[rel="stylesheet"]', "icon": 'link[rel="icon"]', "script": "script"}
GZIP = {"Accept": BROWSER, "Accept-Encoding": "gzip, deflate, br, zstd"}


async def on_the_wire(
    house: House, path: str, headers: dict[str, str]
) -> tuple[HTTPResponse, bytes]:
    """An answer and its body as it was sent."""
    async with raw_answer(HTTPRequest(house.url + path, headers=headers)) as (answer, reader):
        return answer, await reader.read()


def paths_of_assets(page: Page) -> dict[str, str]:
    tags = {kind: page.html.select(selector) for kind, selector in ASSETS.items()}
    return {kind: str(tag.get("href") or tag["src"]) for kind, (tag,) in tags.items()}


async def test_both_pages_of_the_guests_way_and_all_that_they_load_fit_into_one_round_trip(
    house: House, record_property: Callable[[str, object], None]
):
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        page = await house.visit(f"/temp-keys/{key.uuid}")
        paths = {
            "key": f"/temp-keys/{key.uuid}",
            "confirmation": (await house.tap_open(key)).location,
            **paths_of_assets(page),
        }
        sizes = {
            kind: len((await on_the_wire(house, path, GZIP))[1]) for kind, path in paths.items()
        }
    parts = ", ".join(f"{kind} {size}" for kind, size in sizes.items())
    record_property("guest pages: bytes sent", f"{sum(sizes.values())} of {BUDGET} ({parts})")
    assert sum(sizes.values()) <= BUDGET


async def test_a_page_is_sent_in_gzip_to_who_takes_it(house: House):
    key = await house.key(await house.lock())
    for path, words in (
        (f"/temp-keys/{key.uuid}", "Your key to Front door"),
        ("/nowhere", "Error"),
    ):
        answer, body = await on_the_wire(house, path, GZIP)
        assert answer.headers["Content-Encoding"] == "gzip", path
        assert "Accept-Encoding" in answer.headers["Vary"], path
        assert int(answer.headers["Content-Length"]) == len(body), path
        assert words in gzip.decompress(body).decode(), path


async def test_a_pages_assets_are_the_same_with_gzip_and_without(house: House):
    key = await house.key(await house.lock())
    page = await house.visit(f"/temp-keys/{key.uuid}")
    for path in paths_of_assets(page).values():
        plain, whole = await on_the_wire(house, path, {"Accept": BROWSER})
        packed, fewer = await on_the_wire(house, path, GZIP)
        assert "Content-Encoding" not in plain.headers, path
        assert packed.headers["Content-Encoding"] == "gzip", path
        assert packed.headers["Content-Type"] == plain.headers["Content-Type"], path
        assert "Accept-Encoding" in packed.headers["Vary"], path
        assert "Accept-Encoding" in plain.headers["Vary"], path
        assert gzip.decompress(fewer) == whole, path
        assert int(packed.headers["Content-Length"]) == len(fewer) < len(whole), path


@pytest.mark.parametrize("refused", ["gzip;q=0", "identity", "br"])
async def test_who_does_not_take_gzip_gets_none(house: House, refused: str):
    key = await house.key(await house.lock())
    page = await house.visit(f"/temp-keys/{key.uuid}")
    for path in (f"/temp-keys/{key.uuid}", *paths_of_assets(page).values()):
        answer, _ = await on_the_wire(house, path, {"Accept": BROWSER, "Accept-Encoding": refused})
        assert "Content-Encoding" not in answer.headers, path


async def test_a_compressed_file_has_a_tag_and_ranges_of_its_own(house: House):
    key = await house.key(await house.lock())
    style = paths_of_assets(await house.visit(f"/temp-keys/{key.uuid}"))["style"]
    plain, _ = await on_the_wire(house, style, {})
    packed, whole = await on_the_wire(house, style, GZIP)
    assert packed.headers["Etag"] != plain.headers["Etag"]
    again, nothing = await on_the_wire(
        house, style, {**GZIP, "If-None-Match": packed.headers["Etag"]}
    )
    assert (again.code, nothing) == (304, b"")
    part, bytes_ = await on_the_wire(house, style, {**GZIP, "Range": "bytes=100-199"})
    assert (part.code, bytes_) == (206, whole[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(whole)}"


async def test_the_dashboards_pages_are_never_compressed(house: House):
    lock = await house.device()
    key = await house.key(lock)
    desk = await Desk.of(house)
    paths = [
        "",
        "?q=front",
        f"/locks/{lock.lock_id}",
        "/keys",
        f"/keys/{key.uuid}",
        "/events",
        "/locks/999",
    ]
    for path in paths:
        answer, _ = await on_the_wire(house, f"/dashboard{path}", {**GZIP, "Cookie": desk.cookie})
        assert "Content-Encoding" not in answer.headers, path


async def test_what_is_compressed_repeats_nothing_that_a_stranger_put_into_the_address(
    house: House,
):
    """What a page that holds a secret repeats can be guessed from its length, letter by letter."""
    lock = await house.lock()
    key = await house.key(lock)
    guess = "lettersthatarenotonthepage"
    asked = "&".join(f"{name}={guess}" for name in ("lang", "offline", "command", "pin", "attempt"))
    for path in (f"/temp-keys/{key.uuid}", f"/temp-keys/{key.uuid}/confirmation"):
        page = await house.visit(f"{path}?{asked}")
        assert page.status == 200, path
        assert guess not in page.response.body.decode(), path
