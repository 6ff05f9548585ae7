"""What comes in with a request, decoded into the types that declare it."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from tornado.httputil import HTTPHeaders, HTTPInputError, parse_body_arguments

from server.domain.errors import InvalidInput

T = TypeVar("T")


def decode_json(body: bytes, kind: type[T]) -> T:
    """A JSON body; an empty one counts as ``{}``.

    Raises:
        InvalidInput: it is not JSON, says something twice, or a field is missing or wrong.
    """
    try:
        decoded = msgspec.json.decode(body or b"{}", type=kind)
        json.loads(body or b"{}", object_pairs_hook=_each_name_once)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput("", "The body is not readable as JSON") from error
    return decoded


def decode_form(body: bytes, content_type: str, kind: type[T]) -> T:
    """A form, as a browser posts it.

    Raises:
        InvalidInput: it is no form, or a field of it is wrong.
    """
    fields: dict[str, list[bytes]] = {}
    try:
        parse_body_arguments(content_type, body, fields, {}, HTTPHeaders())
    except HTTPInputError as error:
        raise InvalidInput("", "The body is not readable as a form") from error
    return decode_fields(fields, kind)


def decode_fields(fields: Mapping[str, list[bytes]], kind: type[T]) -> T:
    """Fields of a form or of a URL; an empty value counts as none, and the last of several counts.

    Raises:
        InvalidInput: a field is missing or wrong.
    """
    try:
        texts = {name: values[-1].decode() for name, values in fields.items() if values[-1]}
        return msgspec.convert(texts, kind, strict=False)
    except UnicodeDecodeError as error:
        raise InvalidInput("", "Text must be UTF-8") from error
    except msgspec.ValidationError as error:
        raise _invalid(error) from error


def _each_name_once(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that names a field twice: which of the two is meant, nobody knows."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise InvalidInput(name, "is there twice")
        seen.add(name)


def _invalid(error: msgspec.ValidationError) -> InvalidInput:
    said, _, path = str(error).partition(" - at `$")
    return InvalidInput(path.rstrip("`").lstrip("."), said)
