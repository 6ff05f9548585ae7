"""How errors are answered: one JSON body for programs, a page for browsers."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import tornado.web
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from handlers.base import MOST_BODY_BYTES
from handlers.pages import PageHandler
from handlers.routes import ROUTES
from server.app import make_app, open_services
from server.settings import Settings
from tests.house import House, Page

UNKNOWN_KEY = "6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def check_body(answer: Page, status: int, phrase: str, reason: str) -> None:
    """The one JSON body of every error."""
    assert answer.status == status
    assert answer.response.headers["Content-Type"] == "application/json; charset=utf-8"
    body = answer.json()
    assert {"success", "error", "message", "code", "reason"} <= set(body)
    assert body["success"] is False
    assert (body["error"], body["code"], body["reason"]) == (phrase, status, reason)
    assert len(body["message"]) > 5


# One body for every status


async def test_what_is_wrong_with_a_request_is_400(house: House):
    answer = await house.manage("POST", "/temp-keys", {"validFrom": 1})
    check_body(answer, 400, "Bad Request", "invalid_input")


async def test_a_missing_credential_is_401_and_says_how_to_sign_in(house: House):
    answer = await house.fetch("/locks")
    check_body(answer, 401, "Unauthorized", "unauthenticated")
    assert answer.response.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_browser_at_a_locks_door_is_403(house: House):
    device = await house.device()
    answer = await house.fetch(
        f"/locks/{device.lock_id}/connect",
        Authorization=f"Bearer {device.token}",
        Origin="https://evil.example",
        Upgrade="websocket",
    )
    check_body(answer, 403, "Forbidden", "forbidden")


async def test_what_does_not_exist_is_404_and_names_its_kind(house: House):
    for path, reason in [
        ("/locks/99", "lock_not_found"),
        ("/commands/none", "command_not_found"),
        ("/temp-keys?lockId=99", "lock_not_found"),
    ]:
        check_body(await house.manage("GET", path), 404, "Not Found", reason)


@pytest.mark.parametrize("path", ["/", "/nowhere", "/temp-keys/", "/locks/1/nowhere", "//locks"])
async def test_an_unknown_path_is_404(house: House, path: str):
    check_body(await house.fetch(path), 404, "Not Found", "not_found")
    assert (await house.visit(path)).html.select_one("h1") is not None


async def test_a_wrong_method_is_405_on_every_route_and_the_right_ones_are_named(house: House):
    every = set(tornado.web.RequestHandler.SUPPORTED_METHODS) | {"TRACE", "BREW"}
    for path, handler in ROUTES:
        right = set(handler.operations) | ({"HEAD"} if "GET" in handler.operations else set())
        where = re.sub(r"\{\w+\}", "1", path)
        for method in sorted(every - right - {"HEAD"}):
            answer = await house.fetch(where, method, body="", X_API_Key=house.api_key)
            check_body(answer, 405, "Method Not Allowed", "method_not_allowed")
            allowed = answer.response.headers["Allow"].split(", ")
            assert set(allowed) - {"HEAD"} == set(handler.operations), (method, path)


async def test_a_method_that_nobody_has_heard_of_is_405_for_browsers_too(house: House):
    for path, handler in ROUTES:
        answer = await house.fetch(re.sub(r"\{\w+\}", "1", path), "BREW", Accept=BROWSER)
        assert answer.status == 405, path
        assert set(answer.response.headers["Allow"].split(", ")) >= set(handler.operations), path
        if issubclass(handler, PageHandler):
            assert answer.html.select_one("h1") is not None, path


async def test_head_is_refused_exactly_where_get_is(house: House):
    for path, handler in ROUTES:
        answer = await house.fetch(re.sub(r"\{\w+\}", "1", path), "HEAD")
        assert answer.response.body == b"", path
        assert (answer.status == 405) is ("GET" not in handler.operations), path


async def test_head_needs_the_credential_that_get_needs(house: House):
    assert (await house.fetch("/locks", "HEAD")).status == 401
    assert (await house.manage("HEAD", "/locks")).status == 200


# The confirmation page's 404


async def test_the_confirmation_of_an_unknown_key_has_the_documented_values(house: House):
    answer = await house.fetch(f"/temp-keys/{UNKNOWN_KEY}/confirmation?offline=null", Accept="*/*")
    check_body(answer, 404, "Not Found", "temp_key_not_found")
    for value in (
        b'"error":"Not Found"',
        b'"message":"The requested resource was not found"',
        b'"code":404',
    ):
        assert value in answer.response.body


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/plain", None])
async def test_a_program_gets_json_for_a_guests_error(house: House, accept: str | None):
    headers = {} if accept is None else {"Accept": accept}
    answer = await house.fetch(f"/temp-keys/{UNKNOWN_KEY}", **headers)
    check_body(answer, 404, "Not Found", "temp_key_not_found")
    assert answer.response.headers["Vary"] == "Accept, Accept-Language"


async def test_a_browser_gets_a_page_for_a_guests_error(house: House):
    page = await house.visit(f"/temp-keys/{UNKNOWN_KEY}/confirmation")
    assert page.status == 404
    assert page.response.headers["Content-Type"].startswith("text/html")
    assert page.response.headers["Vary"].startswith("Accept, Accept-Language")
    assert page.text("h1") != ""
    assert UNKNOWN_KEY not in page.html.get_text()


async def test_a_refused_tap_is_told_in_words_and_what_is_not_there_by_its_number_too(house: House):
    key = await house.key(await house.lock())
    await house.manage("DELETE", f"/temp-keys/{key.uuid}")
    refused = await house.tap_open(key)
    missing = await house.visit("/nowhere")
    assert (refused.status, missing.status) == (400, 404)
    assert refused.text("h1") == "Your key was revoked"
    assert "Error" not in refused.text(".panel")
    assert "Error 404" in missing.text(".panel")


async def test_a_browser_gets_json_where_only_programs_are_expected(house: House):
    check_body(await house.visit("/locks"), 401, "Unauthorized", "unauthenticated")


# Malformed requests


async def test_a_door_that_is_no_number_is_400_and_one_that_is_not_there_404(house: House):
    key = await house.key(await house.lock())
    for door, status in [("0", 400), ("-1", 400), ("one", 400), ("1.0", 400), ("2", 404)]:
        opened = await house.fetch(f"/temp-keys/{key.uuid}/doors/{door}/open", "POST", "")
        shown = await house.fetch(f"/temp-keys/{key.uuid}/confirmation?door={door}")
        assert (opened.status, shown.status) == (status, status), door


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"attempt=1"),
        ("multipart/form-data; boundary=x", b"--x\r\nnonsense"),
        ("application/x-www-form-urlencoded", b"attempt=%ff"),
    ],
)
async def test_a_form_that_cannot_be_read_is_400_and_opens_nothing(
    house: House, content_type: str, body: bytes
):
    key = await house.key(await house.lock(), max_uses=1)
    path = f"/temp-keys/{key.uuid}/open"
    answer = await house.fetch(path, "POST", body, Content_Type=content_type)
    assert answer.status == 400
    listed = await house.manage("GET", "/temp-keys")
    assert listed.json()["tempKeys"][0]["usedCount"] == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b"\xff\xfe", b"[" * 100_000, b"null", b"[]", b'"text"', b"7"]
)
async def test_a_body_that_is_no_json_object_is_400(house: House, body: bytes):
    answer = await house.fetch("/temp-keys", "POST", body, X_API_Key=house.api_key)
    check_body(answer, 400, "Bad Request", "invalid_input")


@pytest.mark.parametrize("name", ["X-Org-Id", "X-User-Id", "x-org-id"])
async def test_a_header_for_insiders_is_refused_on_every_route(house: House, name: str):
    for path, handler in ROUTES:
        for method in handler.operations:
            answer = await house.fetch(
                re.sub(r"\{\w+\}", "1", path),
                method,
                body=None if method == "GET" else "{}",
                **{"X_API_Key": house.api_key, name: "another organisation"},
            )
            assert answer.status == 400, (method, path)
            assert name.lower() in answer.json()["message"].lower()


# Bodies that are too large


async def raw(house: House, *parts: bytes) -> bytes:
    """Write an HTTP request byte by byte as it is, and read the whole answer."""
    host, port = house.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
    await writer.drain()
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


def posted(house: House, *headers: str) -> bytes:
    lines = ["POST /temp-keys HTTP/1.1", "Host: x", f"X-API-Key: {house.api_key}", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


async def test_a_body_that_says_that_it_is_too_large_is_refused_before_it_comes(house: House):
    answer = await raw(house, posted(house, f"Content-Length: {MOST_BODY_BYTES + 1}"))
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":413' in answer


async def test_a_body_that_turns_out_to_be_too_large_is_refused(house: House):
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    request = posted(house, "Transfer-Encoding: chunked", "Connection: close")
    answer = await raw(house, request, *[chunk] * 5, b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413")
    assert b'"code":413' in answer


async def test_a_body_of_just_the_size_that_is_taken_is_read(house: House):
    now = "2026-11-23T08:00:00Z"
    body = msgspec.json.encode({"validFrom": now, "validUntil": now, "doors": [{"lockId": 1}]})
    body = body[:-1] + b" " * (MOST_BODY_BYTES - len(body)) + b"}"
    answer = await house.fetch("/temp-keys", "POST", body, X_API_Key=house.api_key)
    check_body(answer, 400, "Bad Request", "invalid_input")
    assert "validUntil" in answer.json()["message"]


async def test_the_server_goes_on_after_all_that(house: House):
    await raw(house, b"nonsense\r\n\r\n")
    await raw(house, posted(house, "Content-Length: 99999999"))
    assert (await house.manage("GET", "/locks")).status == 200


# Without the database


@asynccontextmanager
async def server_without_mongodb(settings: Settings) -> AsyncIterator[str]:
    """A running server whose MongoDB is away."""
    settings = msgspec.structs.replace(settings, mongodb_timeout_s=0.2)
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # it is ours, and nobody listens on it
        uri = f"mongodb://127.0.0.1:{port.getsockname()[1]}/?directConnection=true"
        async with open_services(settings, uri) as services:
            server = HTTPServer(make_app(services))
            sockets = bind_sockets(0, "127.0.0.1")
            server.add_sockets(sockets)
            yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
            server.stop()
            await server.close_all_connections()


@pytest.mark.expects_log("waiting_for_mongodb")
@pytest.mark.expects_log("lease_left_to_run_out")
async def test_without_the_database_a_program_is_told_503_and_when_to_come_back(settings: Settings):
    client = AsyncHTTPClient(force_instance=True)
    async with server_without_mongodb(settings) as url:
        answer = Page(
            await client.fetch(f"{url}/locks", headers={"X-API-Key": "lk_any"}, raise_error=False)
        )
    client.close()
    check_body(answer, 503, "Service Unavailable", "storage_unavailable")
    assert answer.response.headers["Retry-After"] == "2"


@pytest.mark.expects_log("waiting_for_mongodb")
@pytest.mark.expects_log("lease_left_to_run_out")
async def test_without_the_database_a_guest_gets_a_page_and_no_door_opens(settings: Settings):
    client = AsyncHTTPClient(force_instance=True)
    async with server_without_mongodb(settings) as url:
        answer = Page(
            await client.fetch(
                f"{url}/temp-keys/{UNKNOWN_KEY}/open",
                method="POST",
                body="",
                headers={"Accept": BROWSER},
                raise_error=False,
            )
        )
    client.close()
    assert answer.status == 503
    assert answer.text("h1") != ""
    assert answer.response.headers["Retry-After"] == "2"


@pytest.mark.parametrize(
    "body",
    ["[" * 100_000, '{"a":' * 40_000, '{"maxUses":' + "9" * 200_000 + "}", '{"maxUses":1e400}'],
    ids=["brackets", "braces", "digits", "exponent"],
)
async def test_json_made_to_exhaust_a_parser_is_400(house: House, body: str):
    assert (await house.fetch("/temp-keys", "POST", body, X_API_Key=house.api_key)).status == 400
