"""Every field of the contract, one past each of its limits and of every wrong type.

The values are made from the published schemas, so a field that is added is tested, and one
whose limit is published and not held fails.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
import pytest

from tests.contract.document import OPERATIONS, Json
from tests.contract.limits import Field, at_limits, beyond, fields_of, texts_beyond
from tests.house import House, Page

JSON = "application/json"
LIMITS = {"minimum", "maximum", "maxLength", "pattern", "format"}


class Asked(NamedTuple):
    """A value in a field of an operation, and where an error has to say that it is."""

    path: str
    body: Any
    field: str


def path_of(name: str, **others: str) -> str:
    """The path of an operation; there is nothing at the end of it."""
    in_path = [each for each in OPERATIONS[name]["parameters"] if each["in"] == "path"]
    ids = {each["name"]: "1" if "minimum" in each["schema"] else "none" for each in in_path}
    return name.split()[1].format(**ids | others)


def body_schema(described: Json) -> Json | None:
    return described.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")


def limited(described: Json, place: str) -> Iterator[Field]:
    """The parameters that do not take every text."""
    for each in described["parameters"]:
        kind = each["schema"]
        if each["in"] == place and LIMITS & set(kind):
            yield Field(each["name"], kind)


def asked_of_body(schema: Json, name: str) -> Iterator[Asked]:
    for field in fields_of(schema):
        for value in (*beyond(field.schema), "a\0b"):
            yield Asked(path_of(name), field.wrapped(value), field.said)


def asked_of_url(described: Json, name: str) -> Iterator[Asked]:
    for field in limited(described, "query"):
        for text in (*texts_beyond(field.schema), "a\0b"):
            yield Asked(f"{path_of(name)}?{field.path}={quote(text)}", ..., field.path)
    for field in limited(described, "path"):
        for text in texts_beyond(field.schema):
            yield Asked(path_of(name, **{field.path: quote(text)}), ..., field.path)


WITH_BODY = [name for name, described in OPERATIONS.items() if body_schema(described)]
WITH_PARAMETERS = [
    name
    for name, described in OPERATIONS.items()
    # A lock's own route tells nobody else anything, not even what is wrong.
    if any(asked_of_url(described, name)) and described["security"] != [{"DeviceToken": []}]
]


async def ask(house: House, name: str, asked: Asked) -> Page:
    method = name.split(maxsplit=1)[0]
    body = None if method == "GET" else b"{}"
    if asked.body is not ...:
        body = msgspec.json.encode(asked.body)
    return await house.fetch(
        asked.path, method, body, X_API_Key=house.api_key, Content_Type=JSON, Accept=JSON
    )


def fault(page: Page, asked: Asked) -> str | None:
    """What is wrong with an answer that has to refuse the field."""
    answer = page.json()
    if (page.status, answer["code"], answer["reason"]) != (400, 400, "invalid_input"):
        return f"{asked} was answered {page.status}"
    if (answer["success"], answer["error"]) != (False, "Bad Request"):
        return f"{asked} was answered {answer}"
    named = answer["message"].split(": ")[0]
    # What is wrong may lie within: ``doors[0]`` where ``doors`` is ``[null]``.
    if named == asked.field or named.startswith((f"{asked.field}[", f"{asked.field}.")):
        return None
    return f"{asked} was said to be {answer['message'][:200]}"


@pytest.mark.parametrize("name", WITH_BODY)
async def test_what_lies_beyond_a_field_of_a_body_is_refused_by_its_path(house: House, name: str):
    schema = body_schema(OPERATIONS[name])
    assert schema is not None
    asked = list(asked_of_body(schema, name))
    faults = [fault(await ask(house, name, each), each) for each in asked]
    assert [each for each in faults if each] == []
    assert len(asked) >= 5


@pytest.mark.parametrize("name", WITH_PARAMETERS)
async def test_what_lies_beyond_a_parameter_is_refused_by_its_name(house: House, name: str):
    faults = [
        fault(await ask(house, name, each), each) for each in asked_of_url(OPERATIONS[name], name)
    ]
    assert [each for each in faults if each] == []


@pytest.mark.parametrize("name", WITH_BODY)
async def test_what_lies_on_a_limit_is_not_what_is_wrong(house: House, name: str):
    schema = body_schema(OPERATIONS[name])
    assert schema is not None
    refused: list[str] = []
    for field in fields_of(schema):
        for value in at_limits(field.schema):
            asked = Asked(path_of(name), field.wrapped(value), field.said)
            answer = (await ask(house, name, asked)).response.body.decode()
            # That is how a limit is told of; what the field means may be wrong all the same.
            if f'"{field.said}: Expected' in answer:
                refused.append(f"{str(asked)[:200]} was answered {answer}")
    assert refused == []
