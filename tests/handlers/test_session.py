"""Personal keys in a browser: signing in, staying signed in, and posts from elsewhere."""

import re
import time
from collections.abc import Mapping
from http.cookies import Morsel, SimpleCookie
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest
from msgspec import structs
from tornado.httputil import HTTPHeaders

from handlers.guest_base import SESSION_COOKIE, is_from_here
from server.app import open_services
from server.domain.temp_keys import AccessMode, TempKey
from server.services.registry import Services
from server.settings import Secret, Settings
from server.storage import mongo
from simulator.simulated_lock import SimulatedLock
from tests.house import BROWSER, House, Page, another_node, until

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def jwt_secret(settings: Settings) -> str:
    assert settings.jwt_secret is not None
    return settings.jwt_secret.reveal()


def token_of(jwt_secret: str, sub: str = "anna", life_s: float = 7200, **changed: Any) -> str:
    claims = {"iss": "latchkey", "aud": "latchkey", "sub": sub, "exp": time.time() + life_s}
    return jwt.encode(claims | changed, jwt_secret, algorithm="HS256")


def cookie_of(page: Page) -> Morsel[str]:
    """The session's cookie, as it was set."""
    (header,) = page.response.headers.get_list("Set-Cookie")
    return SimpleCookie(header)[SESSION_COOKIE]


async def sign_in(house: House, jwt_secret: str, sub: str = "anna") -> str:
    """Sign a guest in; what their browser sends as ``Cookie`` from then on."""
    page = await house.fetch(
        "/session", "POST", urlencode({"token": token_of(jwt_secret, sub)}), Content_Type=FORM
    )
    return f"{SESSION_COOKIE}={cookie_of(page).value}"


async def personal_key(house: House, *locks: SimulatedLock) -> TempKey:
    return await house.key(*locks, access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=["anna"])


async def attempt_on_page(house: House, key: TempKey, cookie: str) -> str:
    page = await house.fetch(f"/temp-keys/{key.uuid}", Accept=BROWSER, Cookie=cookie)
    field = page.html.select_one("form input[name=attempt]")
    assert field is not None
    return str(field["value"])


async def tap(house: House, key: TempKey, attempt: str | None, **headers: str) -> Page:
    """Post the opening form, as a browser does from our own page unless told otherwise."""
    return await house.fetch(
        f"/temp-keys/{key.uuid}/doors/1/open",
        "POST",
        urlencode({} if attempt is None else {"attempt": attempt}),
        **{
            "Accept": BROWSER,
            "Content_Type": FORM,
            "Sec_Fetch_Site": "same-origin",
            "Origin": "null",
        }
        | headers,
    )


# Signing in


@pytest.mark.parametrize("way", ["json", "header", "form"])
async def test_a_good_token_begins_a_session(house: House, jwt_secret: str, way: str) -> None:
    token = token_of(jwt_secret)
    if way == "json":
        page = await house.fetch(
            "/session", "POST", f'{{"token": "{token}"}}', Content_Type="application/json"
        )
    elif way == "header":
        page = await house.fetch("/session", "POST", b"", Authorization=f"Bearer {token}")
    else:
        page = await house.fetch("/session", "POST", urlencode({"token": token}), Content_Type=FORM)
    assert page.status == 200
    assert page.json()["success"] is True
    assert cookie_of(page).value


async def test_the_cookie_is_for_this_server_alone_and_short_lived(
    house: House, jwt_secret: str
) -> None:
    token = token_of(jwt_secret)
    page = await house.fetch("/session", "POST", b"", Authorization=f"Bearer {token}")
    cookie = cookie_of(page)
    assert cookie.key == "__Host-latchkey"
    assert cookie["secure"] is True
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "Lax"
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert 3590 <= int(cookie["max-age"]) <= 3600
    assert page.response.headers["Cache-Control"] == "no-store"


async def test_the_cookie_does_not_outlive_the_token(house: House, jwt_secret: str) -> None:
    token = token_of(jwt_secret, life_s=90)
    page = await house.fetch("/session", "POST", b"", Authorization=f"Bearer {token}")
    assert 80 <= int(cookie_of(page)["max-age"]) <= 90


async def test_the_cookie_holds_nothing_of_the_token(house: House, jwt_secret: str) -> None:
    token = token_of(jwt_secret, note="from the provider")
    page = await house.fetch("/session", "POST", b"", Authorization=f"Bearer {token}")
    value = cookie_of(page).value
    assert value not in token
    assert token.split(".")[2] not in value
    inside = jwt.decode(value, options={"verify_signature": False})
    assert set(inside) == {"sub", "jti", "exp", "aud"}


async def test_a_form_goes_on_to_the_page_of_the_key(house: House, jwt_secret: str) -> None:
    lock = await house.lock()
    key = await personal_key(house, lock)
    form = urlencode({"token": token_of(jwt_secret), "key": key.uuid})
    page = await house.fetch(
        "/session", "POST", form, Content_Type=FORM, Sec_Fetch_Site="cross-site", Accept=BROWSER
    )
    assert (page.status, page.location) == (303, f"/temp-keys/{key.uuid}")


@pytest.mark.parametrize(
    "key",
    ["//evil.example", "https://evil.example/", "../../x", "\\\\evil", "a\r\nSet-Cookie: x=1"],
)
async def test_a_form_never_leads_elsewhere(house: House, jwt_secret: str, key: str) -> None:
    form = urlencode({"token": token_of(jwt_secret), "key": key})
    page = await house.fetch("/session", "POST", form, Content_Type=FORM)
    assert page.status == 303
    assert re.fullmatch(r"/temp-keys/[A-Za-z0-9%._~-]+", page.location)
    assert len(page.response.headers.get_list("Set-Cookie")) == 1


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 401),
        (b"{}", "application/json", 401),
        (b'{"token": ""}', "application/json", 401),
        (b'{"token": null}', "application/json", 401),
        (b'{"token": "no token"}', "application/json", 401),
        (b'{"token": 7}', "application/json", 400),
        (b'{"token": {"$ne": null}}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"token", "application/json", 400),
        (b"token=", FORM, 401),
        (b"token=%FF", FORM, 400),
        (b"token=" + b"x" * 100_000, FORM, 401),
        (b"token=" + b"x" * 300_000, FORM, 413),
    ],
)
async def test_what_is_no_good_token_begins_nothing(
    house: House, body: bytes, content_type: str, status: int
) -> None:
    page = await house.fetch("/session", "POST", body, Content_Type=content_type)
    assert page.status == status
    assert page.json()["success"] is False
    assert "Set-Cookie" not in page.response.headers


async def test_an_expired_token_within_the_leeway_begins_nothing(
    house: House, jwt_secret: str
) -> None:
    token = token_of(jwt_secret, life_s=-10)
    page = await house.fetch("/session", "POST", b"", Authorization=f"Bearer {token}")
    assert page.status == 401


async def test_a_browser_whose_token_is_refused_may_try_again_for_the_same_key(
    house: House,
) -> None:
    form = urlencode({"token": "no token", "key": "the-key"})
    page = await house.fetch("/session", "POST", form, Content_Type=FORM, Accept=BROWSER)
    assert page.status == 401
    assert page.text("h1") == "Please sign in"
    assert "That did not work" in page.text(".lead")
    assert page.html.select_one("form input[name=key][value=the-key]") is not None
    assert "no token" not in str(page.html.select_one("textarea"))


async def test_signing_out_takes_the_cookie_back(house: House, jwt_secret: str) -> None:
    cookie = await sign_in(house, jwt_secret)
    page = await house.fetch("/session", "DELETE", Cookie=cookie)
    taken_back = cookie_of(page)
    assert page.status == 204
    assert taken_back.value == ""
    assert taken_back["expires"]
    # A browser keeps to the rules of the name's prefix when it deletes, too.
    assert taken_back["secure"] is True
    assert taken_back["path"] == "/"


# Pages of personal keys


async def test_a_personal_key_asks_a_stranger_to_sign_in(house: House) -> None:
    lock = await house.lock("Garden gate")
    key = await personal_key(house, lock)
    page = await house.visit(f"/temp-keys/{key.uuid}")
    assert page.status == 401
    assert page.response.headers["WWW-Authenticate"].startswith("Bearer")
    assert page.text("h1") == "Please sign in"
    assert "Garden gate" not in page.html.get_text()
    form = page.html.select_one("form[action='/session'][method=post]")
    assert form is not None
    assert form.select_one(f"input[name=key][value='{key.uuid}']") is not None


@pytest.mark.parametrize("path", ["", "/confirmation", "/confirmation/stream"])
async def test_a_program_is_told_that_a_credential_is_missing(house: House, path: str) -> None:
    key = await personal_key(house, await house.lock())
    page = await house.fetch(f"/temp-keys/{key.uuid}{path}")
    assert (page.status, page.json()["reason"]) == (401, "unauthenticated")


async def test_a_guest_who_signed_in_sees_and_opens_their_key(
    house: House, jwt_secret: str
) -> None:
    lock = await house.lock("Garden gate")
    key = await personal_key(house, lock)
    cookie = await sign_in(house, jwt_secret)
    async with lock.connected():
        page = await house.fetch(f"/temp-keys/{key.uuid}", Accept=BROWSER, Cookie=cookie)
        assert page.text("h1") == "Your key to Garden gate"
        attempt = await attempt_on_page(house, key, cookie)
        tapped = await tap(house, key, attempt, Cookie=cookie)
        confirmed = await house.fetch(tapped.location, Accept=BROWSER, Cookie=cookie)
    assert tapped.status == 303
    assert confirmed.text("h1") == "The door is open"
    assert len(lock.openings) == 1


async def test_a_guest_may_send_the_token_itself_instead(house: House, jwt_secret: str) -> None:
    lock = await house.lock()
    key = await personal_key(house, lock)
    bearer = f"Bearer {token_of(jwt_secret)}"
    async with lock.connected():
        tapped = await tap(house, key, None, Authorization=bearer, Sec_Fetch_Site="cross-site")
    assert tapped.status == 303
    assert len(lock.openings) == 1


async def test_somebody_else_who_signed_in_is_not_let_in(house: House, jwt_secret: str) -> None:
    key = await personal_key(house, await house.lock())
    cookie = await sign_in(house, jwt_secret, sub="boris")
    page = await house.fetch(f"/temp-keys/{key.uuid}", Accept=BROWSER, Cookie=cookie)
    assert page.status == 403
    assert page.text("h1") == "This key is somebody else's"


async def test_where_a_token_is_sent_the_cookie_does_not_count(
    house: House, jwt_secret: str
) -> None:
    key = await personal_key(house, await house.lock())
    cookie = await sign_in(house, jwt_secret)
    page = await house.fetch(
        f"/temp-keys/{key.uuid}", Cookie=cookie, Authorization="Bearer no-token"
    )
    assert page.status == 401


async def test_a_session_ends_with_its_token(house: House, jwt_secret: str) -> None:
    key = await personal_key(house, await house.lock())
    token = token_of(jwt_secret, life_s=1.5)
    signed_in = await house.fetch("/session", "POST", b"", Authorization=f"Bearer {token}")
    cookie = f"{SESSION_COOKIE}={cookie_of(signed_in).value}"
    path = f"/temp-keys/{key.uuid}"
    assert (await house.fetch(path, Cookie=cookie)).status == 200

    async def over() -> bool:
        return (await house.fetch(path, Cookie=cookie)).status == 401

    assert await until(over)


@pytest.mark.parametrize("kind", ["token", "unsigned", "other secret", "jwt secret", "rubbish"])
async def test_a_cookie_that_is_not_ours_is_nobody(
    house: House, jwt_secret: str, kind: str
) -> None:
    key = await personal_key(house, await house.lock())
    claims = {"sub": "anna", "jti": "x", "aud": "latchkey guest session", "exp": 9999999999}
    value = {
        "token": token_of(jwt_secret),
        "unsigned": jwt.encode(claims, "", algorithm="none"),
        "other secret": jwt.encode(claims, "x" * 40, algorithm="HS256"),
        "jwt secret": jwt.encode(claims, jwt_secret, algorithm="HS256"),
        "rubbish": "a.b.c",
    }[kind]
    page = await house.fetch(f"/temp-keys/{key.uuid}", Cookie=f"{SESSION_COOKIE}={value}")
    assert page.status == 401


async def test_a_cookie_is_no_token_and_manages_nothing(house: House, jwt_secret: str) -> None:
    cookie = await sign_in(house, jwt_secret)
    value = cookie.partition("=")[2]
    assert (await house.fetch("/locks", Cookie=cookie)).status == 401
    assert (await house.fetch("/locks", Authorization=f"Bearer {value}")).status == 401
    again = await house.fetch("/session", "POST", b"", Authorization=f"Bearer {value}")
    assert again.status == 401


async def test_a_public_key_needs_no_session_and_minds_none(house: House, jwt_secret: str) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    cookies = [None, f"{SESSION_COOKIE}=rubbish", await sign_in(house, jwt_secret)]
    async with lock.connected():
        for cookie in cookies:
            headers = {} if cookie is None else {"Cookie": cookie}
            page = await house.fetch(f"/temp-keys/{key.uuid}", Accept=BROWSER, **headers)
            tapped = await tap(house, key, f"attempt-{cookie}", **headers)
            assert (page.status, tapped.status) == (200, 303)
    assert len(lock.openings) == 3


# Posts from elsewhere


CROSS_SITE: list[dict[str, str]] = [
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "none"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "https://evil.example"},
    {"Sec_Fetch_Site": ""},
]


@pytest.mark.parametrize("headers", CROSS_SITE, ids=str)
async def test_a_post_from_another_site_does_not_open(
    house: House, jwt_secret: str, headers: Mapping[str, str]
) -> None:
    lock = await house.lock()
    key = await personal_key(house, lock)
    cookie = await sign_in(house, jwt_secret)
    attempt = await attempt_on_page(house, key, cookie)
    async with lock.connected():
        tapped = await tap(house, key, attempt, Cookie=cookie, **headers)
        assert tapped.status == 403
        assert lock.openings == []
        assert await house.commands_of(lock) == []
        # The same form from our own page does.
        assert (await tap(house, key, attempt, Cookie=cookie)).status == 303


@pytest.mark.parametrize("attempt", [None, "", "guessed", "guessed.0000", ".", "é.é"])
async def test_a_form_that_no_page_of_the_session_gave_out_does_not_open(
    house: House, jwt_secret: str, attempt: str | None
) -> None:
    lock = await house.lock()
    key = await personal_key(house, lock)
    cookie = await sign_in(house, jwt_secret)
    async with lock.connected():
        tapped = await tap(house, key, attempt, Cookie=cookie)
    assert tapped.status == 403
    assert lock.openings == []


async def test_a_form_of_another_session_does_not_open(house: House, jwt_secret: str) -> None:
    lock = await house.lock()
    key = await personal_key(house, lock)
    mine, another = await sign_in(house, jwt_secret), await sign_in(house, jwt_secret)
    attempt = await attempt_on_page(house, key, another)
    async with lock.connected():
        tapped = await tap(house, key, attempt, Cookie=mine)
    assert tapped.status == 403
    assert lock.openings == []


@pytest.mark.parametrize(
    ("headers", "from_here"),
    [
        ({}, True),
        ({"Origin": "null"}, True),
        ({"Origin": "https://lock.example", "Host": "lock.example"}, True),
        ({"Origin": "https://lock.example:8443", "Host": "lock.example:8443"}, True),
        ({"Origin": "https://evil.example", "Host": "lock.example"}, False),
        ({"Origin": "https://lock.example.evil.example", "Host": "lock.example"}, False),
        ({"Origin": "", "Host": "lock.example"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, False),
        ({"Sec-Fetch-Site": "same-site", "Origin": "null"}, False),
    ],
    ids=str,
)
def test_what_a_browser_says_of_where_a_form_comes_from(
    headers: dict[str, str], from_here: bool
) -> None:
    assert is_from_here(HTTPHeaders(headers)) is from_here


# More than one node


async def test_every_node_knows_a_session_and_a_restart_forgets_none(
    house: House, jwt_secret: str, services: Services, settings: Settings, mongodb_uri: str
) -> None:
    cookie = (await sign_in(house, jwt_secret)).partition("=")[2]
    async with open_services(another_node(settings), mongodb_uri) as other_node:
        session = await other_node.auth.session(cookie)
        own = await services.auth.session(cookie)
    assert session is not None
    assert own is not None
    assert session.user_id == "anna"
    assert own.gave_out(session.new_attempt())


async def test_a_secret_from_the_settings_is_not_stored_and_counts(
    house: House,
    jwt_secret: str,
    settings: Settings,
    mongodb_uri: str,
    database: mongo.Database,
) -> None:
    with_secret = structs.replace(settings, session_secret=Secret("s" * 32))
    async with open_services(another_node(with_secret), mongodb_uri) as node:
        session = await node.auth.sign_in(token_of(jwt_secret))
        assert await node.auth.session(session.cookie) is not None
    assert await database["secrets"].count_documents({}) == 0
    page = await house.fetch("/locks", Cookie=f"{SESSION_COOKIE}={session.cookie}")
    assert page.status == 401
    assert await house.services.auth.session(session.cookie) is None
