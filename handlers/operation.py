"""What each method of a route takes and answers: said once, in front of the method.

The declaration is what the server does: it decides who may call, it decodes what
comes in, and the published contract is made from it.
"""

import functools
import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextlib import nullcontext
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from handlers.parameters import positive
from handlers.traced import traced
from server.domain.errors import LatchkeyError

Method = Callable[..., Coroutine[Any, Any, None]]

_DECLARED = "declared_operation"

METHODS = ("GET", "POST", "PATCH", "PUT", "DELETE")


class Access(Enum):
    """Who may call a method of a route."""

    PUBLIC = "anyone"
    GUEST = "whoever holds the guest link"
    OPERATOR = "an operator, by API key or token"
    DASHBOARD = "an operator, signed in with a browser"
    MONITORING = "monitoring, by a token of its own"
    LOCK = "the lock itself, by its device token"


class Media(Enum):
    """What an answer is written in."""

    JSON = "application/json"
    HTML = "text/html"
    EVENTS = "text/event-stream"
    SVG = "image/svg+xml"
    CSV = "text/csv"
    IMAGE = "image/*"
    TEXT = "text/plain"
    NOTHING = ""


class Answer(Struct, frozen=True):
    """A good answer: its JSON type, or another kind of content; in ``others`` too, if asked."""

    kind: Any = None
    media: Media = Media.JSON
    others: tuple[Media, ...] = ()


PAGE = Answer(None, Media.HTML)
EVENTS = Answer(None, Media.EVENTS)
SVG = Answer(None, Media.SVG)
IMAGE = Answer(None, Media.IMAGE)
TEXT = Answer(None, Media.TEXT)
NOTHING = Answer(None, Media.NOTHING)


class Operation(Struct, frozen=True, kw_only=True):
    """One method of one route.

    ``body``, ``form`` and ``query`` are the types of what comes in; the method gets them as
    arguments of those names. ``answers`` are the good answers by status, ``errors`` the
    statuses of the others that this method adds to those that every method may give.
    ``headers`` says what the request headers mean that the method itself reads, all optional.
    """

    access: Access
    answers: Mapping[int, Answer]
    errors: tuple[int, ...] = ()
    body: type[Struct] | None = None
    form: type[Struct] | None = None
    query: type[Struct] | None = None
    headers: Mapping[str, str] = {}


def operation(
    access: Access,
    answers: Mapping[int, Answer],
    *,
    errors: tuple[int, ...] = (),
    body: type[Struct] | None = None,
    form: type[Struct] | None = None,
    query: type[Struct] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Callable[[Method], Any]:
    """Declare a handler's method; see ``Operation``.

    Arguments from the path come in as the method's annotations say: ``int`` means a whole
    number above zero.
    """
    declared = Operation(
        access=access,
        answers=answers,
        errors=errors,
        body=body,
        form=form,
        query=query,
        headers=headers or {},
    )

    def declare(method: Method) -> Method:
        numbers = [
            name
            for name, parameter in inspect.signature(method).parameters.items()
            if parameter.annotation is int
        ]

        acts = method.__name__ != "get"

        @functools.wraps(method)
        async def decode_and_call(handler: Any, **path: str) -> None:
            arguments: dict[str, Any] = dict(path)
            for name in numbers:
                arguments[name] = positive(wire_name(name), path[name])
            if declared.query is not None:
                arguments["query"] = handler.decode_query(declared.query)
            if declared.body is not None:
                arguments["body"] = handler.decode_json(declared.body)
            if declared.form is not None:
                arguments["form"] = handler.decode_form(declared.form)
            try:
                with traced(handler) if acts else nullcontext():
                    await method(handler, **arguments)
            except LatchkeyError as error:
                if declared.access is Access.GUEST:
                    await handler.refuse(error)
                raise

        setattr(decode_and_call, _DECLARED, declared)
        return decode_and_call

    return declare


def operations_of(handler: type) -> dict[str, Operation]:
    """The methods of a handler, and how each is declared."""
    found = {name: getattr(handler, name.lower(), None) for name in METHODS}
    return {
        name: getattr(method, _DECLARED)
        for name, method in found.items()
        if hasattr(method, _DECLARED)
    }


def wire_name(name: str) -> str:
    """A parameter's name as it stands in URLs and errors: ``lock_id`` is ``lockId``."""
    return msgspec.structs.fields(_wire_struct(name))[0].encode_name


@functools.cache
def _wire_struct(name: str) -> type[Struct]:
    return msgspec.defstruct("Name", [(name, str)], rename="camel")
