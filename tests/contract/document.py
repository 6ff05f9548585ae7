"""The published contract, as tests read it."""

from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from handlers.openapi import openapi_document
from handlers.routes import ROUTES

Json = dict[str, Any]

DOCUMENT = openapi_document(ROUTES)
OPERATIONS: dict[str, Json] = {
    f"{method.upper()} {path}": described
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
}

_BASE = "urn:openapi"
_REGISTRY = Registry().with_resource(_BASE, Resource(contents=DOCUMENT, specification=DRAFT202012))


def followed(described: Json) -> Json:
    """A part of the document, or the one that it refers to."""
    if "$ref" not in described:
        return described
    found = DOCUMENT
    for name in described["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return found


def problems(schema: Json, value: Any) -> list[str]:
    """What is wrong with a value."""
    validator = Draft202012Validator(_with_base(schema), registry=_REGISTRY)
    return [error.message for error in validator.iter_errors(value)]


def _with_base(node: Any) -> Any:
    """The schema with references that say which document they mean."""
    if isinstance(node, dict):
        return {
            name: f"{_BASE}{child}" if name == "$ref" else _with_base(child)
            for name, child in node.items()
        }
    return [_with_base(child) for child in node] if isinstance(node, list) else node
