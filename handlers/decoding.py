"""What comes in with a request, decoded into the types that declare it."""

import functools
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from tornado.httputil import HTTPHeaders, HTTPInputError, parse_body_arguments

from server.domain.errors import InvalidInput

T = TypeVar("T", bound=Struct)

_fields_of = functools.cache(msgspec.structs.fields)
"""Worked out anew from the annotations, they cost more than all the rest of the decoding."""


def decode_json(body: bytes, kind: type[T]) -> T:
    """A JSON body; an empty one counts as ``{}``.

    Raises:
        InvalidInput: it is not JSON, says something twice, has a NUL character in a text, or a
            field is missing or wrong.
    """
    try:
        _check(json.loads(body or b"{}", object_pairs_hook=_Fields), "")
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InvalidInput("", "The body is not readable as JSON") from error


def decode_form(body: bytes, content_type: str, kind: type[T]) -> T:
    """A form, as a browser posts it.

    Raises:
        InvalidInput: it is no form, or a field of it is wrong.
    """
    return decode_fields(_form_arguments(body, content_type), kind)


def form_fields(body: bytes, content_type: str) -> dict[str, list[str]]:
    """The fields of a form, each with all its values.

    Raises:
        InvalidInput: it is no form, or not UTF-8.
    """
    try:
        return {
            name: [value.decode() for value in values]
            for name, values in _form_arguments(body, content_type).items()
        }
    except UnicodeDecodeError as error:
        raise InvalidInput("", "Text must be UTF-8") from error


def _form_arguments(body: bytes, content_type: str) -> dict[str, list[bytes]]:
    fields: dict[str, list[bytes]] = {}
    try:
        parse_body_arguments(content_type, body, fields, {}, HTTPHeaders())
    except HTTPInputError as error:
        raise InvalidInput("", "The body is not readable as a form") from error
    return fields


def decode_fields(fields: Mapping[str, list[bytes]], kind: type[T]) -> T:
    """Fields of a form or of a URL; an empty value counts as none, and the last of several counts.

    Raises:
        InvalidInput: a field is missing or wrong.
    """
    try:
        texts = {name: values[-1].decode() for name, values in fields.items() if values[-1]}
        decoded = msgspec.convert(texts, kind, strict=False)
    except UnicodeDecodeError as error:
        raise InvalidInput("", "Text must be UTF-8") from error
    except msgspec.ValidationError as error:
        raise _invalid(error) from error
    for field in _fields_of(kind):
        if field.encode_name in texts:
            text = texts[field.encode_name]
            _check_field(text, getattr(decoded, field.name), field.encode_name)
    return decoded


def _check_field(text: str, read: Any, name: str) -> None:
    """Refuse what msgspec reads into a text beyond what the contract says."""
    _check_text(text, name)
    if read is None:
        # A client that fills in a variable without a value means one lock, say, and must
        # not get the list of all.
        raise InvalidInput(name, "must not be null; leave it out instead")
    if isinstance(read, datetime) and ":" not in text:
        raise InvalidInput(name, "must be a time as RFC 3339 writes it, not a number")


class _Fields(list[tuple[str, Any]]):
    """The fields of a JSON object as they came, with those that came twice."""


def _check(value: Any, path: str) -> None:
    """Refuse what the types let through: a field that is there twice, of which nobody knows
    which is meant, and NUL characters, which no text needs and other programs stumble over.
    """
    match value:
        case str():
            _check_text(value, path)
        case _Fields():
            seen: set[str] = set()
            for name, inner in value:
                where = f"{path}.{name}" if path else name
                if name in seen:
                    raise InvalidInput(where, "is there twice")
                seen.add(name)
                _check(inner, where)
        case list():
            for number, inner in enumerate(value):
                _check(inner, f"{path}[{number}]")


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        raise InvalidInput(path, "must not contain a NUL character")


def _invalid(error: msgspec.ValidationError) -> InvalidInput:
    said, _, path = str(error).partition(" - at `$")
    return InvalidInput(path.rstrip("`").lstrip("."), said)
