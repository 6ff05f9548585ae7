"""The published contract: valid, complete, and true of what the server answers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec import structs
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers.openapi import methods_of
from handlers.operation import Access
from handlers.routes import ROUTES
from server.settings import Secret, Settings
from tests.contract.document import DOCUMENT, OPERATIONS, Json, followed, problems
from tests.house import BROWSER, House, Page, command_id_of

METHODS = {f"{method.method} {method.wire_path}": method for method in methods_of(ROUTES)}


def schemas() -> Iterator[Json]:
    """Every schema of the document, whole."""
    yield from DOCUMENT["components"]["schemas"].values()
    yield from _schemas_below(DOCUMENT["paths"])
    yield from _schemas_below(DOCUMENT["components"]["responses"])


def _schemas_below(node: Any) -> Iterator[Json]:
    if isinstance(node, dict):
        if "schema" in node:
            yield node["schema"]
        for child in node.values():
            yield from _schemas_below(child)
    if isinstance(node, list):
        for child in node:
            yield from _schemas_below(child)


# The document


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_it_has_every_route_and_no_other() -> None:
    assert OPERATIONS.keys() == METHODS.keys()


def test_every_schema_can_be_used() -> None:
    found = list(schemas())
    assert len(found) > 50
    for schema in found:
        Draft202012Validator.check_schema(schema)
        problems(schema, None)  # raises where a reference leads nowhere


def test_every_schema_component_is_used() -> None:
    used = str(list(schemas()))
    for name in DOCUMENT["components"]["schemas"]:
        assert f"'#/components/schemas/{name}'" in used


def test_names_of_operations_are_unique() -> None:
    names = [described["operationId"] for described in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert "getTempKeysByKeyUuid" in names


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_described(name: str) -> None:
    described, method = OPERATIONS[name], METHODS[name]
    assert described["summary"].endswith(".")
    assert set(described["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    in_path = [each["name"] for each in described["parameters"] if each["in"] == "path"]
    assert in_path == re.findall(r"\{(\w+)\}", name)
    takes_a_body = method.declared.body is not None or method.declared.form is not None
    assert ("requestBody" in described) == takes_a_body
    assert ("413" in described["responses"]) == takes_a_body


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_who_may_call_it(name: str) -> None:
    described, access = OPERATIONS[name], METHODS[name].declared.access
    schemes = [scheme for choice in described["security"] for scheme in choice]
    assert set(schemes) <= DOCUMENT["components"]["securitySchemes"].keys()
    needs_one = bool(described["security"]) and {} not in described["security"]
    assert needs_one == (access in (Access.OPERATOR, Access.LOCK, Access.MONITORING))
    assert ("401" in described["responses"]) >= needs_one


def test_numbers_in_a_path_are_numbers_everywhere() -> None:
    for name, described in OPERATIONS.items():
        for each in described["parameters"]:
            if each["name"] in ("lockId", "doorId") and each["in"] == "path":
                assert each["schema"] == {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 2**53 - 1,
                }, name


def test_what_a_query_cannot_say_is_not_asked_of_it() -> None:
    asked = OPERATIONS["GET /temp-keys"]["parameters"]
    (lock_id,) = [each for each in asked if each["name"] == "lockId"]
    assert lock_id == {
        "in": "query",
        "name": "lockId",
        "required": False,
        "allowEmptyValue": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": 2**53 - 1},
    }


def test_errors_of_pages_are_pages_too() -> None:
    page, data = OPERATIONS["GET /temp-keys/{keyUuid}"], OPERATIONS["GET /locks"]
    assert followed(page["responses"]["400"])["content"].keys() == {"application/json", "text/html"}
    assert followed(data["responses"]["400"])["content"].keys() == {"application/json"}


# What the server really answers


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of every test, with PINs."""
    return structs.replace(settings, pin_secret=Secret("a secret for the PINs of these tests"))


def check_answer(name: str, page: Page) -> None:
    """Hold an answer against what the document says about it."""
    status = str(page.status)
    assert status in OPERATIONS[name]["responses"], f"{name} answered {status}"
    described = followed(OPERATIONS[name]["responses"][status])
    for header, about in described.get("headers", {}).items():
        assert not about["required"] or header in page.response.headers, f"{name}: no {header}"
    content = described.get("content", {})
    media = page.response.headers.get("Content-Type", "").split(";")[0]
    if not content:
        assert not page.response.body
        return
    assert media in content, f"{name} answered {media}"
    answer = page.json() if media == "application/json" else page.response.body.decode()
    assert not problems(content[media]["schema"], answer), name


async def test_answers_to_operators_are_as_described(house: House) -> None:
    device = await house.device()
    key = await house.key(device)
    wanted = {
        "validFrom": "2030-01-01T00:00:00Z",
        "validUntil": "2030-01-02T00:00:00Z",
        "doors": [{"lockId": str(device.lock_id), "label": "Front", "accessMethod": "both"}],
    }
    assert not problems({"$ref": "#/components/schemas/NewTempKey"}, wanted)
    command_id = command_id_of(await house.tap_open(key))
    asked: list[tuple[str, str, object, int]] = [
        ("POST /temp-keys", "/temp-keys", wanted, 201),
        ("POST /temp-keys", "/temp-keys", wanted | {"doors": []}, 400),
        ("POST /temp-keys", "/temp-keys", wanted | {"doors": [{"lockId": 999}]}, 404),
        ("POST /temp-keys", "/temp-keys", wanted | {"description": "x" * 300_000}, 413),
        ("GET /temp-keys", "/temp-keys", None, 200),
        ("GET /temp-keys", f"/temp-keys?lockId={device.lock_id}", None, 200),
        ("GET /temp-keys", "/temp-keys?lockId=first", None, 400),
        ("GET /locks", "/locks", None, 200),
        ("GET /locks/{lockId}", f"/locks/{device.lock_id}", None, 200),
        ("GET /locks/{lockId}", "/locks/0", None, 400),
        ("GET /locks/{lockId}", "/locks/999", None, 404),
        ("GET /locks/{lockId}/commands", f"/locks/{device.lock_id}/commands", None, 200),
        ("GET /commands/{commandId}", f"/commands/{command_id}", None, 200),
        ("GET /commands/{commandId}", "/commands/none", None, 404),
        ("GET /locks/{lockId}/connect", f"/locks/{device.lock_id}/connect", None, 401),
        ("DELETE /temp-keys/{keyUuid}", f"/temp-keys/{key.uuid}", None, 200),
        ("DELETE /temp-keys/{keyUuid}", "/temp-keys/none", None, 404),
        ("GET /health", "/health", None, 200),
        ("GET /openapi.json", "/openapi.json", None, 200),
    ]
    for name, path, body, status in asked:
        page = await house.manage(name.split()[0], path, body)
        assert page.status == status, name
        check_answer(name, page)


async def test_the_server_publishes_this_document(house: House) -> None:
    assert (await house.fetch("/openapi.json")).json() == DOCUMENT


@pytest.mark.parametrize("accept", ["*/*", BROWSER])
async def test_answers_to_guests_are_as_described(house: House, accept: str) -> None:
    key = await house.key(await house.device())
    name = "POST /temp-keys/{keyUuid}/doors/{doorId}/open"
    tap = await house.tap_open(key)
    check_answer(name, tap)
    check_answer(
        "GET /temp-keys/{keyUuid}/confirmation", await house.fetch(tap.location, Accept=accept)
    )
    for uuid in (key.uuid, "none"):
        page = await house.fetch(f"/temp-keys/{uuid}", Accept=accept)
        check_answer("GET /temp-keys/{keyUuid}", page)
        refused = await house.fetch(
            f"/temp-keys/{uuid}/doors/0/open", method="POST", body="", Accept=accept
        )
        check_answer(name, refused)


@pytest.mark.parametrize("name", OPERATIONS)
async def test_strangers_are_answered_as_described(house: House, name: str) -> None:
    method, path = name.split()
    path = re.sub(r"\{(\w+)\}", "1", path)
    page = await house.fetch(path, method, None if method == "GET" else b"")
    check_answer(name, page)
    insider = await house.fetch(path, method, None if method == "GET" else b"", X_Org_Id="1")
    assert insider.status == 400
    check_answer(name, insider)


async def test_a_form_that_is_none_is_refused(house: House) -> None:
    key = await house.key(await house.device())
    refused = await house.fetch(
        f"/temp-keys/{key.uuid}/open",
        method="POST",
        body="attempt=",
        Content_Type="multipart/form-data",
    )
    assert (refused.status, refused.json()["reason"]) == (400, "invalid_input")
