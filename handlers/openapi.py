"""The contract of this server, made from its routes and from what their methods declare."""

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from handlers.base import BaseHandler, ErrorBody, PageHandler
from handlers.guest_base import SESSION_COOKIE
from handlers.operation import Access, Answer, Media, Operation, operation, wire_name
from handlers.parameters import LARGEST
from server import __version__
from server.services.registry import Services

Json = dict[str, Any]
Routes = Sequence[tuple[str, type[BaseHandler]]]

_REF = "#/components/schemas/{name}"

_PATH_SCHEMAS: Mapping[type, Json] = {
    int: {"type": "integer", "minimum": 1, "maximum": LARGEST},
    str: {"type": "string", "minLength": 1},
}

_SECURITY_SCHEMES: Json = {
    "ApiKeyAuth": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "An organisation's API key.",
    },
    "BearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An operator's token, or a guest's where a key is personal.",
    },
    "DeviceToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "A lock's own token.",
    },
    "SessionCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A guest's session in a browser, for personal keys.",
    },
}

_SECURITY: Mapping[Access, list[Json]] = {
    Access.PUBLIC: [],
    Access.GUEST: [{}, {"BearerAuth": []}, {"SessionCookie": []}],
    Access.OPERATOR: [{"ApiKeyAuth": []}, {"BearerAuth": []}],
    Access.LOCK: [{"DeviceToken": []}],
}


def _header(name: str, said: str, *, required: bool = True) -> Json:
    return {name: {"description": said, "required": required, "schema": {"type": "string"}}}


_ERRORS: Mapping[Access, tuple[int, ...]] = {
    # 400 answers headers that are for insiders, 429 links that lead nowhere; everybody but
    # the public is looked up in the database, which may be away.
    Access.PUBLIC: (400,),
    Access.GUEST: (400, 429, 503),
    Access.OPERATOR: (400, 401, 503),
    Access.LOCK: (400, 401, 503),
}
"""What every method may answer beside what it declares, by who may call it."""

_ERRORS_OF_BODIES = (413,)

_HEADERS_OF_ERRORS: Mapping[int, Json] = {
    401: _header("WWW-Authenticate", "Which credential to send."),
    429: _header("Retry-After", "In how many seconds to try again."),
    503: _header("Retry-After", "In how many seconds, where waiting helps.", required=False),
}

_HEADERS_OF_ANSWERS: Mapping[int, Json] = {
    101: _header("Sec-WebSocket-Protocol", "The version of the lock protocol."),
    303: _header("Location", "Where to go on with a GET."),
}

_FRAMES = {"description": "The frames of the connection", "url": "/asyncapi.json"}


class OpenapiDocument(BaseHandler):
    """This contract, for programs."""

    def initialize(self, services: Services, document: bytes = b"") -> None:
        super().initialize(services)
        self._document = document

    @operation(Access.PUBLIC, {200: Answer(dict[str, Any])})
    async def get(self) -> None:
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(self._document)


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
        every = {*_ERRORS[self.declared.access], *self.declared.errors}
        every.update(_ERRORS_OF_BODIES if takes_a_body else ())
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
    schemas = _Schemas(methods)
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
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


class _Schemas:
    """The types that come in and go out, as JSON Schema."""

    def __init__(self, methods: Iterable[RoutedMethod]) -> None:
        fields: dict[type[Struct], None] = {}
        types: dict[Any, None] = {ErrorBody: None}
        for method in methods:
            declared = method.declared
            fields |= {kind: None for kind in (declared.query, declared.form) if kind is not None}
            kinds = [declared.body, *(answer.kind for answer in declared.answers.values())]
            types |= {kind: None for kind in kinds if kind is not None}
        found, components = msgspec.json.schema_components([*types, *fields], ref_template=_REF)
        self._schemas = dict(zip([*types, *fields], found, strict=True))
        self.components = {name: _cleaned(schema) for name, schema in components.items()}
        self._fields = {
            kind: _without_null(self.components.pop(self._schemas[kind]["$ref"].split("/")[-1]))
            for kind in fields
        }

    def of(self, kind: Any) -> Json:
        """The schema of a body or an answer."""
        return self._schemas[kind]

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


def _operation(method: RoutedMethod, schemas: _Schemas, path_types: Mapping[str, type]) -> Json:
    declared = method.declared
    described: Json = {
        "operationId": method.id,
        "tags": [method.tag],
        "summary": method.summary,
        "description": f"For {method.access}.",
        "security": _SECURITY[declared.access],
        "parameters": _parameters(method, schemas, path_types),
    }
    if declared.body is not None:
        described["requestBody"] = {
            "required": True,
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
    method: RoutedMethod, schemas: _Schemas, path_types: Mapping[str, type]
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
    return [*path, *_query(method.declared, schemas), *_headers(method.declared)]


def _query(declared: Operation, schemas: _Schemas) -> list[Json]:
    if declared.query is None:
        return []
    schema = schemas.of_fields(declared.query)
    return [
        {
            "in": "query",
            "name": name,
            "required": name in schema.get("required", []),
            "schema": property_,
        }
        for name, property_ in schema["properties"].items()
    ]


def _headers(declared: Operation) -> list[Json]:
    return [
        {"in": "header", "name": name, "description": said, "schema": {"type": "string"}}
        for name, said in declared.headers.items()
    ]


def _answer(status: int, answer: Answer, schemas: _Schemas) -> Json:
    described = _response(status, _HEADERS_OF_ANSWERS)
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
            content = _content(Media.JSON.value, {"$ref": _REF.format(name=ErrorBody.__name__)})
            if method.answers_with_pages:
                content |= _content(Media.HTML.value, {"type": "string"})
            described = _response(status, _HEADERS_OF_ERRORS) | {"content": content}
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
