"""The contract of this server, made from its routes and from what their methods declare."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import NamedTuple

from handlers.base import BaseHandler
from handlers.error_answers import ErrorBody
from handlers.openapi_schemas import REF, Schemas
from handlers.openapi_tables import (
    ERRORS,
    ERRORS_OF_BODIES,
    HEADERS_OF_ANSWERS,
    HEADERS_OF_ERRORS,
    LANGUAGE,
    SECURITY,
    SECURITY_SCHEMES,
    Json,
)
from handlers.operation import Answer, Media, Operation, wire_name
from handlers.pages import PageHandler
from handlers.parameters import LARGEST
from server import __version__

Routes = Sequence[tuple[str, type[BaseHandler]]]

_PATH_SCHEMAS: Mapping[type, Json] = {
    int: {"type": "integer", "minimum": 1, "maximum": LARGEST},
    str: {"type": "string", "minLength": 1},
}

_FRAMES = {"description": "The frames of the connection", "url": "/asyncapi.json"}


class RoutedMethod(NamedTuple):
    """One method of one route, with what it declares."""

    path: str
    method: str
    handler: type[BaseHandler]
    declared: Operation

    @property
    def wire_path(self) -> str:
        """The path with its parameters named as they are everywhere on the wire."""
        return re.sub(r"\{(\w+)\}", lambda found: f"{{{wire_name(found[1])}}}", self.path)

    @property
    def summary(self) -> str:
        """The first paragraph of the method's own docstring, or else of its handler's."""
        method = getattr(self.handler, self.method.lower())
        words = inspect.cleandoc(method.__doc__ or self.handler.__doc__ or "")
        return " ".join(words.split("\n\n")[0].replace("``", "").split())

    @property
    def id(self) -> str:
        """A name that stays as long as the path does: ``deleteTempKeysByKeyUuid``."""
        by = re.sub(r"\{(\w+)\}", r"by-\1", self.wire_path)
        words = re.split(r"[^A-Za-z0-9]+", by.strip("/"))
        return self.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)

    @property
    def tag(self) -> str:
        """What it belongs to: the module of its handler."""
        return self.handler.__module__.rpartition(".")[2].replace("_", "-")

    @property
    def access(self) -> str:
        """Who may call it, in words."""
        return self.declared.access.value

    @property
    def answers_with_pages(self) -> bool:
        """Whether errors are pages too, for callers that prefer one."""
        return issubclass(self.handler, PageHandler)

    @property
    def errors(self) -> list[int]:
        """The statuses of its error answers."""
        takes_a_body = self.declared.body is not None or self.declared.form is not None
        every = {*ERRORS[self.declared.access], *self.declared.errors}
        every.update(ERRORS_OF_BODIES if takes_a_body else ())
        return sorted(every - self.declared.answers.keys())

    def path_types(self) -> Iterator[tuple[str, type]]:
        """What the method takes from its path."""
        arguments = inspect.signature(getattr(self.handler, self.method.lower())).parameters
        for name in self.path_names:
            if name in arguments:
                yield name, arguments[name].annotation

    @property
    def path_names(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)


def methods_of(routes: Routes) -> list[RoutedMethod]:
    """Every method of every route."""
    return [
        RoutedMethod(path, method, handler, declared)
        for path, handler in routes
        for method, declared in handler.operations.items()
    ]


def openapi_document(routes: Routes) -> Json:
    """The OpenAPI 3.1 document of these routes."""
    methods = methods_of(routes)
    schemas = Schemas(method.declared for method in methods)
    # A name means the same in every path, so a method need not repeat what it is.
    path_types = dict(pair for method in methods for pair in method.path_types())
    paths: dict[str, Json] = {}
    for method in methods:
        described = _operation(method, schemas, path_types)
        paths.setdefault(method.wire_path, {})[method.method.lower()] = described
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Latchkey",
            "version": __version__,
            "description": "An open self-hosted server for smart locks.",
        },
        "tags": _tags(methods),
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "responses": dict(_error_responses(methods)),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _operation(method: RoutedMethod, schemas: Schemas, path_types: Mapping[str, type]) -> Json:
    declared = method.declared
    described: Json = {
        "operationId": method.id,
        "tags": [method.tag],
        "summary": method.summary,
        "description": f"For {method.access}.",
        "security": SECURITY[declared.access],
        "parameters": _parameters(method, schemas, path_types),
    }
    if declared.body is not None:
        described["requestBody"] = {
            "required": schemas.requires_something(declared.body),
            "content": _content(Media.JSON.value, schemas.of(declared.body)),
        }
    if declared.form is not None:
        form = schemas.of_fields(declared.form)
        described["requestBody"] = {
            "required": bool(form.get("required")),
            "content": _content("application/x-www-form-urlencoded", form),
        }
    responses = {
        status: _answer(status, answer, schemas) for status, answer in declared.answers.items()
    }
    for status in method.errors:
        responses[status] = {"$ref": f"#/components/responses/{_error_name(method, status)}"}
    described["responses"] = {str(status): responses[status] for status in sorted(responses)}
    if 101 in declared.answers:
        described["externalDocs"] = _FRAMES
    return described


def _parameters(
    method: RoutedMethod, schemas: Schemas, path_types: Mapping[str, type]
) -> list[Json]:
    path = [
        {
            "in": "path",
            "name": wire_name(name),
            "required": True,
            "schema": _PATH_SCHEMAS[path_types[name]],
        }
        for name in method.path_names
    ]
    language = [LANGUAGE] if method.answers_with_pages else []
    return [*path, *_query(method.declared, schemas), *language, *_headers(method.declared)]


def _query(declared: Operation, schemas: Schemas) -> list[Json]:
    if declared.query is None:
        return []
    schema = schemas.of_fields(declared.query)
    return [
        {
            "in": "query",
            "name": name,
            "required": name in schema.get("required", []),
            "allowEmptyValue": True,
            # Swagger UI shows the parameter's, and not that of its schema.
            **{key: property_[key] for key in ("description",) if key in property_},
            "schema": property_,
        }
        for name, property_ in schema["properties"].items()
    ]


def _headers(declared: Operation) -> list[Json]:
    return [
        {"in": "header", "name": name, "description": said, "schema": {"type": "string"}}
        for name, said in declared.headers.items()
    ]


def _answer(status: int, answer: Answer, schemas: Schemas) -> Json:
    described = _response(status, HEADERS_OF_ANSWERS)
    if answer.media is Media.EVENTS:
        described["content"] = {answer.media.value: {}}  # 3.1 has no words for a single event
    elif answer.media is not Media.NOTHING:
        schema = {"type": "string"} if answer.kind is None else schemas.of(answer.kind)
        described["content"] = _content(answer.media.value, schema)
    for media in answer.others:
        described["content"] |= _content(media.value, {"type": "string"})
    return described


def _error_responses(methods: Iterable[RoutedMethod]) -> Iterator[tuple[str, Json]]:
    for method in methods:
        for status in method.errors:
            content = _content(Media.JSON.value, {"$ref": REF.format(name=ErrorBody.__name__)})
            if method.answers_with_pages:
                content |= _content(Media.HTML.value, {"type": "string"})
            described = _response(status, HEADERS_OF_ERRORS) | {"content": content}
            yield _error_name(method, status), described


def _error_name(method: RoutedMethod, status: int) -> str:
    phrase = "".join(word.capitalize() for word in re.findall(r"\w+", HTTPStatus(status).phrase))
    return f"{phrase}Page" if method.answers_with_pages else phrase


def _response(status: int, headers_of: Mapping[int, Json]) -> Json:
    described: Json = {"description": HTTPStatus(status).phrase}
    if status in headers_of:
        described["headers"] = headers_of[status]
    return described


def _content(media: str, schema: Json) -> Json:
    return {media: {"schema": schema}}


def _tags(methods: Iterable[RoutedMethod]) -> list[Json]:
    """Each tag, with the first line of its module."""
    modules = {method.tag: sys.modules[method.handler.__module__] for method in methods}
    return [
        {"name": tag, "description": (module.__doc__ or "").split("\n\n")[0]}
        for tag, module in modules.items()
    ]
