"""Every page and form of the dashboard: only for who is signed in, and never by another's doing."""

import re

import pytest

from handlers.dashboard.routes import DASHBOARD_ROUTES
from handlers.operation import Access
from handlers.routes import ROUTES
from server.storage.mongo import Database
from tests.handlers.dashboard.desk import COOKIE, Desk
from tests.handlers.furnished import dump, everything_is_told
from tests.handlers.test_security_headers import check_headers
from tests.house import House, until

METHODS = [
    (path, method, operation)
    for path, handler in DASHBOARD_ROUTES
    for method, operation in handler.operations.items()
]
FORMS = [path for path, method, operation in METHODS if method == "POST" and "sign-in" not in path]
PAGES = [path for path, method, _ in METHODS if method == "GET"]


async def address(house: House, path: str) -> str:
    """A route's path with a lock and a key of the house in it."""
    if "{lock_id}" in path:
        return path.replace("{lock_id}", str((await house.device()).lock_id))
    if "{key_uuid}" in path:
        return path.replace("{key_uuid}", (await house.key(await house.device())).uuid)
    return path


def test_the_dashboard_is_no_part_of_the_api():
    assert not {path for path, _ in ROUTES} & {path for path, _ in DASHBOARD_ROUTES}
    assert all(re.match(r"/dashboard(/|\.|\Z)", path) for path, _ in DASHBOARD_ROUTES)


def test_only_the_sign_in_is_for_everybody():
    public = {path for path, _, operation in METHODS if operation.access is not Access.DASHBOARD}
    assert public == {"/dashboard/sign-in"}


def test_every_form_is_declared_so_that_its_token_is_checked():
    for path, method, operation in METHODS:
        assert (operation.form is not None) == (method == "POST"), path


async def test_nobody_gets_in_without_a_session(house: House):
    for path, method, operation in METHODS:
        if operation.access is not Access.DASHBOARD:
            continue
        where = await address(house, path)
        for credential in ({}, {"X_API_Key": house.api_key}, {"Cookie": f"{COOKIE}=x"}):
            answer = await house.fetch(where, method, None if method == "GET" else "", **credential)
            assert answer.status == 401, (path, method, credential)


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_without_its_token_or_from_another_site_changes_nothing(
    house: House, database: Database, path: str
):
    where = await address(house, path)
    desk, other = await Desk.of(house), await Desk.of(house)
    await until(lambda: everything_is_told(database))
    before = await dump(database)
    answers = [
        await desk.post(where, []),
        await desk.post(where, [("form_token", "x" * 64)]),
        await desk.press(where, {}, Sec_Fetch_Site="cross-site"),
    ]
    stolen = (await other.visit()).html.select_one('input[name="form_token"]')
    assert stolen is not None
    answers.append(await desk.post(where, [("form_token", str(stolen["value"]))]))
    assert [answer.status for answer in answers] == [403] * 4
    assert await dump(database) == before


@pytest.mark.parametrize("path", PAGES)
async def test_looking_changes_nothing_and_carries_the_headers(
    house: House, database: Database, path: str
):
    where = await address(house, path)
    desk = await Desk.of(house)
    await until(lambda: everything_is_told(database))
    before = await dump(database)
    page = await desk.visit(where)
    assert page.status == 200
    check_headers(page, path)
    assert page.response.headers["Cache-Control"] == "no-store"
    for tag in page.html.find_all(True):
        assert not [name for name in tag.attrs if name.startswith("on") or name == "style"]
    assert page.html.find_all("style") == []
    assert await dump(database) == before


async def test_what_is_somebody_elses_is_not_there(house: House):
    other = await house.services.provisioning.create_organization("Other house")
    stranger = await Desk.of(house, await house.services.provisioning.issue_api_key(other.id))
    for path in PAGES:
        if "{" in path:
            assert (await stranger.visit(await address(house, path))).status == 404, path


async def test_whatever_a_lock_or_key_is_called_is_shown_as_words(house: House):
    words = "\"'><img src=x onerror=alert(1)><script>alert(2)</script>{{ 1 }}"
    device = await house.device(words)
    key = await house.key(device, description=words)
    desk = await Desk.of(house)
    names = {"lock_id": device.lock_id, "key_uuid": key.uuid}
    shown = []
    for path in PAGES:
        if path.endswith((".csv", ".jsonl", "/stream")):
            continue  # no pages
        page = await desk.visit(path.format(**names))
        assert page.status == 200
        assert page.html.select('img[src="x"]') == []
        assert not [script for script in page.html.find_all("script") if not script.get("src")]
        shown.append(words in page.html.get_text())
    assert any(shown)
