"""What each field of the published contract takes, up to its limits, and what lies beyond."""

import functools
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from hypothesis import find
from hypothesis import strategies as st

from tests.contract.document import Json, followed, problems

_OPERATOR = {"$ne": None}


class Field(NamedTuple):
    """One field of what comes in: where it is, and its schema."""

    path: str
    schema: Json

    def wrapped(self, value: Any) -> Any:
        """A body that says nothing but this field; each list on the way to it has one item."""
        for name in reversed(self.path.split(".")):
            value = {name.removesuffix("[]"): [value] if name.endswith("[]") else value}
        return value

    @property
    def said(self) -> str:
        """Its path, as an error names it."""
        return self.path.replace("[]", "[0]")


def fields_of(schema: Json, path: str = "") -> Iterator[Field]:
    """Every field of a body, and every field below it."""
    schema = followed(schema)
    for name, inner in schema.get("properties", {}).items():
        yield from _below(inner, f"{path}.{name}" if path else name)


def _below(schema: Json, path: str) -> Iterator[Field]:
    yield Field(path, schema)
    for choice in _choices(schema):
        yield from fields_of(choice, path)
        if "items" in choice:
            yield from _below(choice["items"], f"{path}[]")


def _choices(schema: Json) -> list[Json]:
    schema = followed(schema)
    return [followed(choice) for choice in schema.get("anyOf", [schema])]


def beyond(schema: Json) -> list[Any]:
    """Values that the schema does not take: one past each limit, and of every other type."""
    if "type" in schema and "enum" in schema:
        # Any such text is decoded; whether it is one of these is looked at when all is there.
        schema = {name: about for name, about in schema.items() if name != "enum"}
    others = [None, True, 7, 1.5, "\ud7ff", "", [], [None], {}, _OPERATOR, [_OPERATOR]]
    past = [value for choice in _choices(schema) for value in _past_limits(choice)]
    return [value for value in (*past, *others) if problems(schema, value)]


def texts_beyond(schema: Json) -> list[str]:
    """Texts that a URL may carry and that the schema does not take, even as numbers."""
    texts = {str(value) for value in beyond(schema) if isinstance(value, str | float | int)}
    read = str
    if schema.get("type") in ("integer", "number"):
        texts |= {"null", "0x1"}
        read = _number
    # An empty one counts as none.
    return sorted(text for text in texts if text and problems(schema, read(text)))


def _number(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def at_limits(schema: Json) -> list[Any]:
    """Values that lie on the limits of the schema, and within them."""
    return [
        value
        for choice in _choices(schema)
        for value in _on_limits(choice)
        if not problems(schema, value)
    ]


def _past_limits(schema: Json) -> Iterator[Any]:
    match schema:
        case {"minimum": least}:
            yield from (least - 1, str(least), math.nextafter(least, -math.inf))
    match schema:
        case {"maximum": most}:
            yield from (most + 1, 10**30)
        case {"type": "integer"}:
            yield from (2**64, 10**30)
    match schema:
        case {"maxLength": most}:
            yield from (_text(schema, most + 1), "é" * (most + 1))
    match schema:
        case {"minLength": least}:
            yield _text(schema, least - 1)
    match schema:
        case {"maxItems": most, "items": items}:
            yield [sample(items)] * (most + 1)
    match schema:
        case {"pattern": _}:
            yield from ("§", sample(schema) + "\n", " " + sample(schema))
        case {"format": "date-time"}:
            yield from ("tomorrow", "2030-01-01", "2030-01-01T00:00:00", "2030-13-01T00:00:00Z")
        case {"format": "uuid"}:
            yield from ("17", "0b9a3c1e-5f0e-4c57-9a0e-11111111111")


def _on_limits(schema: Json) -> Iterator[Any]:
    yield sample(schema)
    match schema:
        case {"minimum": least}:
            yield least
    match schema:
        case {"maximum": most}:
            yield most
    match schema:
        case {"maxLength": most}:
            yield from (_text(schema, most), "🔑" * most)
    match schema:
        case {"minLength": least}:
            yield _text(schema, least)
    match schema:
        case {"maxItems": most, "items": items}:
            yield [sample(items)] * most


def sample(schema: Json) -> Any:
    """A value that a schema takes."""
    match _choices(schema)[0]:
        case {"enum": [first, *_]}:
            return first
        case {"properties": properties, **rest}:
            return {name: sample(properties[name]) for name in rest.get("required", [])}
        case {"type": "array", **rest}:
            return [sample(rest["items"])] * rest.get("minItems", 0)
        case {"format": "date-time"}:
            return "2030-01-01T00:00:00Z"
        case {"format": "uuid"}:
            return "0b9a3c1e-5f0e-4c57-9a0e-111111111111"
        case {"pattern": pattern}:
            return _text_like(pattern)
        case {"type": "string", **rest}:
            return "a" * max(1, rest.get("minLength", 1))
        case {"type": "boolean"}:
            return True
        case {"type": "null"}:
            return None
        case described:
            return described.get("minimum", 1)


@functools.cache
def _text_like(pattern: str) -> str:
    return find(st.from_regex(pattern), lambda text: "\n" not in text)


def _text(schema: Json, length: int) -> str:
    """A text of that length which the pattern, if there is one, has nothing against."""
    if "pattern" not in schema:
        return "a" * length
    for text in ("a" * length, "1" * length, "a@" + "a" * (length - 2)):
        if re.search(re.sub(r"\{\d+,\d+\}", "+", schema["pattern"]), text):
            return text
    return sample(schema)
