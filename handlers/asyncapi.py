"""The lock protocol as an AsyncAPI document, made from the frames' types."""

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec

from handlers.asyncapi_tables import ANSWERED_BY, CLOSE_CODES, CORRELATED_BY, Frame
from handlers.lock_exchange import EXCHANGE
from handlers.openapi import Routes, methods_of
from handlers.openapi_schemas import REF, schemas_of
from handlers.openapi_tables import SECURITY_SCHEMES, Json
from handlers.operation import Access
from server import __version__
from server.domain.protocol import (
    LOCK_FRAMES,
    MAX_FRAME_BYTES,
    SERVER_FRAMES,
    SUBPROTOCOL,
    encode_frame,
    wire_type,
)

_CHANNEL = "connection"
_JSON = "application/json"
_SCHEME = "DeviceToken"


def asyncapi_document(routes: Routes) -> Json:
    """The AsyncAPI 3.0 document of the connection that locks make, wherever it is routed."""
    (connect,) = [method for method in methods_of(routes) if method.declared.access is Access.LOCK]
    frames: list[type[Frame]] = [*LOCK_FRAMES, *SERVER_FRAMES]
    _, schemas = schemas_of(frames)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Latchkey lock protocol",
            "version": __version__,
            "description": (
                f"What a lock and the server say to each other: subprotocol {SUBPROTOCOL}, one JSON"
                f" object in each text frame of at most {MAX_FRAME_BYTES // 1024} KiB. Unknown"
                " fields are ignored, unknown types answered with an error and ignored."
            ),
        },
        "defaultContentType": _JSON,
        "servers": {"latchkey": _server()},
        "channels": {_CHANNEL: _channel(connect.wire_path, connect.summary, frames)},
        "operations": {
            **{f"receive{kind.__name__}": _operation("receive", kind) for kind in LOCK_FRAMES},
            **{f"send{kind.__name__}": _operation("send", kind) for kind in SERVER_FRAMES},
        },
        "components": {
            "schemas": {name: _in_async_words(schema) for name, schema in schemas.items()},
            "messages": {kind.__name__: _message(kind) for kind in frames},
            "securitySchemes": {_SCHEME: SECURITY_SCHEMES[_SCHEME]},
        },
    }


def _server() -> Json:
    return {
        "host": "{host}",
        "protocol": "wss",
        "description": "This server, over TLS; without (ws) on one machine only.",
        "variables": {"host": {"default": "localhost:8080"}},
        "security": [{"$ref": f"#/components/securitySchemes/{_SCHEME}"}],
    }


def _channel(path: str, summary: str, frames: Sequence[type[Frame]]) -> Json:
    return {
        "address": path,
        "summary": summary,
        "parameters": {"lockId": {"description": "The lock's number."}},
        "messages": {
            kind.__name__: {"$ref": f"#/components/messages/{kind.__name__}"} for kind in frames
        },
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {
                    "type": "object",
                    "required": ["Authorization", "Sec-WebSocket-Protocol"],
                    "properties": {
                        "Authorization": {"type": "string", "pattern": "^Bearer "},
                        "Sec-WebSocket-Protocol": {"const": SUBPROTOCOL},
                    },
                },
                "bindingVersion": "0.1.0",
            }
        },
        "x-close-codes": [
            {"code": code.value, "because": because, "thenTheLock": then}
            for code, (because, then) in CLOSE_CODES.items()
        ],
    }


def _operation(action: str, kind: type[Frame]) -> Json:
    described: Json = {
        "action": action,
        "channel": {"$ref": f"#/channels/{_CHANNEL}"},
        "summary": _paragraphs(kind)[0],
        "messages": [_in_channel(kind)],
    }
    if kind in ANSWERED_BY:
        described["reply"] = {
            "channel": {"$ref": f"#/channels/{_CHANNEL}"},
            "messages": [_in_channel(ANSWERED_BY[kind])],
        }
    return described


def _message(kind: type[Frame]) -> Json:
    summary, *more = _paragraphs(kind)
    described: Json = {
        "name": wire_type(kind),
        "title": kind.__name__,
        "summary": summary,
        "contentType": _JSON,
        "payload": {"$ref": REF.format(name=kind.__name__)},
        "examples": [
            {"payload": msgspec.json.decode(encode_frame(frame))}
            for frame in EXCHANGE
            if type(frame) is kind
        ],
    }
    if more:
        described["description"] = "\n\n".join(more)
    if kind in CORRELATED_BY:
        described["correlationId"] = {"location": f"$message.payload#/{CORRELATED_BY[kind]}"}
    return described


def _in_channel(kind: type[Frame]) -> Json:
    return {"$ref": f"#/channels/{_CHANNEL}/messages/{kind.__name__}"}


def _paragraphs(kind: type[Frame]) -> list[str]:
    """The docstring of a frame's type."""
    words = inspect.cleandoc(kind.__doc__ or "").replace("``", "`")
    return [" ".join(paragraph.split()) for paragraph in words.split("\n\n")]


def _in_async_words(node: Any) -> Any:
    """A schema in AsyncAPI's dialect, where a discriminator is a name and no object."""
    if isinstance(node, list):
        return [_in_async_words(child) for child in node]
    if not isinstance(node, dict):
        return node
    return {
        name: child["propertyName"] if name == "discriminator" else _in_async_words(child)
        for name, child in node.items()
    }
