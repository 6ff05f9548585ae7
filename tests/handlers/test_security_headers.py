"""What every answer carries, whatever is asked and however it is answered."""

import re

import pytest

from handlers.routes import ROUTES
from tests.house import House, Page

EXPECTED = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def check_headers(answer: Page, what: object) -> None:
    headers = answer.response.headers
    for name, value in EXPECTED.items():
        assert headers.get(name) == value, (what, name)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, what
    assert "frame-ancestors 'none'" in policy, what
    assert "base-uri 'none'" in policy, what
    script_sources = re.search(r"script-src ([^;]*)", policy)
    assert script_sources is None or "unsafe" not in script_sources[1], what
    assert "Server" not in headers, what
    assert "Etag" not in headers, what


async def test_every_method_of_every_route_carries_the_headers_and_is_not_kept(house: House):
    lock = await house.lock()
    key = await house.key(lock)
    for path, _ in ROUTES:
        where = path.replace("{key_uuid}", key.uuid).replace("{lock_id}", str(lock.lock_id))
        where = re.sub(r"\{\w+\}", "1", where)
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]:
            if (method, path) == ("DELETE", "/temp-keys/{key_uuid}"):
                continue  # the next ones need the key
            for credential in ({}, {"X_API_Key": house.api_key}):
                answer = await house.fetch(
                    where, method, None if method in ("GET", "HEAD") else "{}", **credential
                )
                check_headers(answer, (method, path, answer.status))
                assert answer.response.headers["Cache-Control"] == "no-store", (method, path)


@pytest.mark.parametrize(
    "path", ["/", "/nowhere", "/static/nowhere.css", "/static/%00", "/temp-keys/a/b/c"]
)
async def test_an_unknown_path_carries_the_headers(house: House, path: str):
    for answer in (await house.fetch(path), await house.visit(path)):
        assert answer.status == 404
        check_headers(answer, path)


async def test_the_guests_pages_carry_the_headers_and_are_not_kept(house: House):
    key = await house.key(await house.lock())
    tapped = await house.tap_open(key)
    pages = [
        await house.visit(f"/temp-keys/{key.uuid}"),
        tapped,
        await house.visit(tapped.location),
        await house.visit(f"/temp-keys/{key.uuid}/confirmation?door=99"),
    ]
    assert [page.status for page in pages] == [200, 303, 200, 404]
    for page in pages:
        check_headers(page, page.status)
        assert page.response.headers["Cache-Control"] == "no-store"


async def test_the_guests_pages_hold_no_script_or_style_of_their_own(house: House):
    key = await house.key(await house.lock())
    tapped = await house.tap_open(key)
    for path in (f"/temp-keys/{key.uuid}", tapped.location, "/nowhere"):
        page = await house.visit(path)
        assert all(script.get("src") for script in page.html.find_all("script"))
        assert page.html.find_all("style") == []
        for tag in page.html.find_all(True):
            assert not [name for name in tag.attrs if name.startswith("on") or name == "style"]


async def test_the_pages_assets_carry_the_headers(house: House):
    key = await house.key(await house.lock())
    page = await house.visit(f"/temp-keys/{key.uuid}")
    assets = [tag["href"] for tag in page.html.select("link[rel=stylesheet]")]
    assert assets
    for asset in assets:
        answer = await house.fetch(str(asset))
        assert answer.status == 200
        for name, value in EXPECTED.items():
            assert answer.response.headers.get(name) == value, (asset, name)
        assert "Server" not in answer.response.headers
