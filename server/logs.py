"""Log lines: one event and its facts each, with what nobody may read taken out, here and once."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
import tornado.web

from server.log_writer import LogWriter

_access = structlog.get_logger("latchkey.access")

_HIDDEN = "…"
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_GUEST_PATH = re.compile(r"(/(?:(?:collective-)?temp-keys|dashboard/keys)/)[^/?\s\"']+")
_API_KEY = re.compile(r"lk_[A-Za-z0-9]{40}")
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]+")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_BEARER = re.compile(r"(Bearer\s+)\S+", re.IGNORECASE)

_OF_SEVERAL_LINES = ("exception", "stack")


def redact(text: str) -> str:
    """``text`` without the secrets that paths, headers and messages may carry."""
    text = _GUEST_PATH.sub(rf"\1{_HIDDEN}", text)
    text = _UUID.sub(_HIDDEN, text)
    text = _API_KEY.sub(_HIDDEN, text)
    text = _WEBHOOK_SECRET.sub(_HIDDEN, text)
    text = _JWT.sub(_HIDDEN, text)
    return _BEARER.sub(rf"\1{_HIDDEN}", text)


_FINISH_WITHIN_S = 2.0
_to_stderr = LogWriter(file_descriptor=2)


def lines_dropped() -> int:
    """How many lines were dropped so far, because whoever reads them stood still."""
    return _to_stderr.dropped


def finish() -> None:
    """At the end of a program: wait until all lines are written, for two seconds at most."""
    _to_stderr.finish(_FINISH_WITHIN_S)


def configure(log_format: str, to: TextIO | LogWriter = _to_stderr) -> None:
    """Send every log line, ours and the libraries', to standard error: ``pretty`` or ``json``."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]  # which escapes by itself
        if log_format == "json"
        else [_escape_line, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redact_line,
                *renderers,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)


def _redact_line(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in line.items():
        line[name] = _redacted(value)
    return line


def _redacted(value: object) -> object:
    match value:
        case str():
            return redact(value)
        case bool() | int() | float() | None:
            return value
        case Mapping():
            return {redact(str(name)): _redacted(inner) for name, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(inner) for inner in value]
        case _:
            return redact(repr(value))


def _escape_line(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """No value begins a line of its own, moves a terminal's cursor or turns words around."""
    for name, value in line.items():
        if isinstance(value, str):
            kept = "\n" if name in _OF_SEVERAL_LINES else ""
            line[name] = "".join(
                char if char.isprintable() or char in kept else repr(char)[1:-1] for char in value
            )
    return line


def access_line(handler: tornado.web.RequestHandler) -> None:
    """One line for each request: what was asked, how it was answered, and how long that took.

    Of the path only what is no secret, and of the query nothing. Lines that are written while a
    request is dealt with carry its id (``request``), this one too.
    """
    request = handler.request
    _access.info(
        "request",
        method=request.method,
        path=redact(request.path),
        status=handler.get_status(),
        ms=round(request.request_time() * 1000, 1),
    )
