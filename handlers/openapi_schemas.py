"""The types that come in and go out, as JSON Schema."""

import inspect
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from handlers.error_answers import ErrorBody
from handlers.openapi_tables import Json
from handlers.operation import Operation

REF = "#/components/schemas/{name}"


def schemas_of(kinds: Iterable[Any]) -> tuple[list[Json], dict[str, Json]]:
    """The schema of each of these types, and the components that they refer to, by name."""
    found, components = msgspec.json.schema_components(kinds, ref_template=REF)
    return list(found), {name: _cleaned(schema) for name, schema in components.items()}


class Schemas:
    """The types that come in and go out, as JSON Schema."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        fields: dict[type[Struct], None] = {}
        types: dict[Any, None] = {ErrorBody: None}
        for declared in operations:
            fields |= {kind: None for kind in (declared.query, declared.form) if kind is not None}
            kinds = [declared.body, *(answer.kind for answer in declared.answers.values())]
            types |= {kind: None for kind in kinds if kind is not None}
        found, self.components = schemas_of([*types, *fields])
        self._schemas = dict(zip([*types, *fields], found, strict=True))
        self._fields = {
            kind: _without_null(self.components.pop(self._schemas[kind]["$ref"].split("/")[-1]))
            for kind in fields
        }

    def of(self, kind: Any) -> Json:
        """The schema of a body or an answer."""
        return self._schemas[kind]

    def requires_something(self, kind: type[Struct]) -> bool:
        """Whether a body must say something: an empty one counts as one without fields."""
        component = self.components[self._schemas[kind]["$ref"].split("/")[-1]]
        return bool(component.get("required"))

    def of_fields(self, kind: type[Struct]) -> Json:
        """The schema of a query or a form, whose fields are texts: none of them can be null."""
        return self._fields[kind]


def _cleaned(schema: Json) -> Json:
    if "description" not in schema:
        return schema
    return schema | {"description": inspect.cleandoc(schema["description"])}


def _without_null(schema: Json) -> Json:
    return schema | {
        "properties": {
            name: _not_null(property_) for name, property_ in schema["properties"].items()
        }
    }


def _not_null(schema: Json) -> Json:
    kept = {name: value for name, value in schema.items() if (name, value) != ("default", None)}
    if "anyOf" not in kept:
        return kept
    choices = [choice for choice in kept.pop("anyOf") if choice != {"type": "null"}]
    return kept | (choices[0] if len(choices) == 1 else {"anyOf": choices})
