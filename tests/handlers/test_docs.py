"""The contract for people: Swagger UI, from here and from nowhere else."""

import hashlib
import re

import pytest

from handlers.openapi import methods_of
from handlers.routes import ROUTES
from tests.house import House

# Of swagger-ui-dist 5.31.0 as its makers publish it on npm.
RELEASED = {
    "swagger-ui-bundle.js": "93b7b0862a80e2786f85b560be7693c2344354ffa7e7e224f850a54349724c31",
    "swagger-ui.css": "9e576f8322132c76949da47f9bb53c891373c303ea3a761ff548ffc9de50a98c",
}


async def test_it_loads_swagger_ui_as_released_and_from_here(house: House) -> None:
    page = await house.visit("/docs")
    found = [
        str(tag.get("src") or tag.get("href"))
        for tag in page.html.select("script, link")
        if "swagger-ui" in str(tag)
    ]
    assert sorted(url.split("?")[0] for url in found) == [f"/docs/{name}" for name in RELEASED]
    for url in found:
        name = url.split("/")[-1].split("?")[0]
        file = (await house.fetch(url)).response
        assert hashlib.sha256(file.body).hexdigest() == RELEASED[name]
        assert "no-store" not in file.headers.get("Cache-Control", "")


async def test_nothing_in_it_is_inline_or_from_elsewhere(house: House) -> None:
    page = (await house.visit("/docs")).response.body.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://|//\w", page)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page))


async def test_it_lists_every_route_without_javascript(house: House) -> None:
    page = await house.visit("/docs")
    listed = [" ".join(line.get_text().split()) for line in page.html.select("noscript code")]
    assert listed == [f"{method.method} {method.wire_path}" for method in methods_of(ROUTES)]
    assert "Issue a temp key" in page.text("noscript .routes")


@pytest.mark.parametrize(
    "path", ["/docs/swagger-ui.js", "/docs/swagger-ui-bundle.js.map", "/docs/../__init__.py"]
)
async def test_nothing_else_of_the_package_is_served(house: House, path: str) -> None:
    assert (await house.visit(path)).status == 404
