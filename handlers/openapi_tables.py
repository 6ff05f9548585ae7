"""What the contract says of credentials, errors and headers, whatever the route."""

from collections.abc import Mapping
from typing import Any

from handlers.guest_base import SESSION_COOKIE
from handlers.languages import LANGUAGES
from handlers.operation import Access

Json = dict[str, Any]

SECURITY_SCHEMES: Json = {
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
    "MonitoringToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token that the server's metrics are read with.",
    },
    "SessionCookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A guest's session in a browser, for personal keys.",
    },
}

SECURITY: Mapping[Access, list[Json]] = {
    Access.PUBLIC: [],
    Access.GUEST: [{}, {"BearerAuth": []}, {"SessionCookie": []}],
    Access.OPERATOR: [{"ApiKeyAuth": []}, {"BearerAuth": []}],
    Access.LOCK: [{"DeviceToken": []}],
    Access.MONITORING: [{"MonitoringToken": []}],
}


def _header(name: str, said: str, *, required: bool = True) -> Json:
    return {name: {"description": said, "required": required, "schema": {"type": "string"}}}


LANGUAGE: Json = {
    "in": "query",
    "name": "lang",
    "required": False,
    "description": "The language of the page, before ``Accept-Language``. JSON is English.",
    "schema": {"type": "string", "examples": list(LANGUAGES)},
}
"""What every method takes that may answer with a page."""

ERRORS: Mapping[Access, tuple[int, ...]] = {
    # 400 answers headers that are for insiders, 429 links that lead nowhere; everybody but
    # the public is looked up in the database, which may be away.
    Access.PUBLIC: (400,),
    Access.GUEST: (400, 429, 503),
    Access.OPERATOR: (400, 401, 503),
    Access.LOCK: (400, 401, 503),
    Access.MONITORING: (400, 401),
}
"""What every method may answer beside what it declares, by who may call it."""

ERRORS_OF_BODIES = (413,)

HEADERS_OF_ERRORS: Mapping[int, Json] = {
    401: _header("WWW-Authenticate", "Which credential to send."),
    429: _header("Retry-After", "In how many seconds to try again."),
    503: _header("Retry-After", "In how many seconds, where waiting helps.", required=False),
}

HEADERS_OF_ANSWERS: Mapping[int, Json] = {
    101: _header("Sec-WebSocket-Protocol", "The version of the lock protocol."),
    303: _header("Location", "Where to go on with a GET."),
}
