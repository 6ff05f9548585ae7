"""What every handler shares: who may call it, the limit on bodies, and errors told as JSON."""

import functools
import math
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec
import structlog
import tornado.web
from msgspec import Struct
from tornado.httputil import HTTPServerRequest

from handlers.decoding import decode_fields, decode_form, decode_json
from handlers.error_answers import error_body, status_of
from handlers.operation import Access, Operation, operations_of
from server.domain.addresses import client_address
from server.domain.errors import InvalidInput, Overloaded, WebhooksOff
from server.domain.organizations import Operator
from server.domain.refusals import NoFreePin, PinsOff, TooManyTries
from server.domain.secrets import new_id
from server.services.registry import Services
from server.services.webhook_sending import SecretUnreadable

log = structlog.get_logger(__name__)

MOST_BODY_BYTES = 256 * 1024
_A_YEAR_S = 31_536_000

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}

BodyT = TypeVar("BodyT", bound=Struct)


def security_headers(request: HTTPServerRequest) -> dict[str, str]:
    """What every answer carries; over TLS also that browsers should come back that way only.

    Behind a proxy that is the proxy's to say: what it and a browser speak is not seen here.
    """
    if request.protocol == "https":
        return {**SECURITY_HEADERS, "Strict-Transport-Security": f"max-age={_A_YEAR_S}"}
    return SECURITY_HEADERS


@tornado.web.stream_request_body
class BaseHandler(tornado.web.RequestHandler):
    """Calls what its methods declare, reads a bounded body, and answers errors as JSON.

    A body that is too large is refused when its headers have come in, or, where they
    do not say how long it is, dropped while it comes in.
    """

    operations: ClassVar[Mapping[str, Operation]]
    """The methods that this handler has; see ``handlers.operation``."""

    def __init_subclass__(cls) -> None:
        cls.operations = operations_of(cls)

    def initialize(self, services: Services) -> None:
        self.services = services
        self._body = bytearray()
        self._body_is_too_large = False
        # Tornado sets it later, and not at all where it does not know the method.
        self.path_kwargs: dict[str, str] = {}

    @functools.cached_property
    def request_id(self) -> str:
        """An id of the request for those who look for it in the log; never what came with it."""
        return new_id()

    def set_default_headers(self) -> None:
        for name, value in security_headers(self.request).items():
            self.set_header(name, value)
        self.set_header("X-Request-Id", self.request_id)
        self.clear_header("Server")

    def compute_etag(self) -> None:
        """None: nothing here is cached, so nothing needs a hash of its body."""

    async def prepare(self) -> None:
        """Refuse, before the body is read, what will be refused anyway.

        Raises:
            HTTPError: 405 or 413.
            InvalidInput: a header that only insiders may set came from outside.
            Unauthenticated: an operator's route without a good credential.
        """
        structlog.contextvars.bind_contextvars(request=self.request_id)
        method = "GET" if self.request.method == "HEAD" else self.request.method or ""
        if method not in self.operations:
            raise tornado.web.HTTPError(405)
        for name in ("X-Org-Id", "X-User-Id"):
            if name in self.request.headers:
                raise InvalidInput(name, "this header is not accepted from outside")
        announced = self.request.headers.get("Content-Length", "0")
        if announced.isdecimal() and int(announced) > MOST_BODY_BYTES:
            raise tornado.web.HTTPError(413)
        if self.operations[method].access is Access.OPERATOR:
            self.operator: Operator = await self.ask_credential()

    async def ask_credential(self) -> Operator:
        """The operator whose credential came with the request, if it is good now.

        Raises:
            Unauthenticated: it is not, or there is none.
            IssuerUnavailable, StorageUnavailable: that cannot be found out right now.
        """
        return await self.services.auth.operator(self.request.headers.get("X-API-Key"), self.bearer)

    def data_received(self, chunk: bytes) -> None:
        if len(self._body) + len(chunk) > MOST_BODY_BYTES:
            self._body_is_too_large = True
            self._body.clear()
        elif not self._body_is_too_large:
            self._body += chunk

    @property
    def body(self) -> bytes:
        """The request's body.

        Raises:
            HTTPError: 413.
        """
        if self._body_is_too_large:
            raise tornado.web.HTTPError(413)
        return bytes(self._body)

    def decode_json(self, kind: type[BodyT]) -> BodyT:
        """The request's JSON body; see ``handlers.decoding``."""
        return decode_json(self.body, kind)

    def decode_form(self, kind: type[BodyT]) -> BodyT:
        """The request's form, as a browser posts it; see ``handlers.decoding``."""
        return decode_form(self.body, self.request.headers.get("Content-Type", ""), kind)

    def decode_query(self, kind: type[BodyT]) -> BodyT:
        """What stands behind the ``?`` of the URL; see ``handlers.decoding``."""
        return decode_fields(self.request.query_arguments, kind)

    async def head(self, **path: str) -> None:
        """What GET would answer, without its body."""
        answered: Awaitable[None] | None = self.get(**path)
        if answered is not None:
            await answered

    @property
    def address(self) -> str:
        """Whose address the request comes from, as far as a trusted proxy vouches for it."""
        return client_address(
            self.request.remote_ip or "",
            self.request.headers.get("X-Forwarded-For", ""),
            self.services.trusted_proxies,
        )

    @property
    def bearer(self) -> str | None:
        """The token of ``Authorization: Bearer``."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    def write_json(self, answer: Struct, status: int = 200) -> None:
        """Answer with a struct as JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(answer))

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        super().send_error(status_code if error is None else status_of(error), **kwargs)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log only what nobody foresaw; refusals are answers, not accidents."""
        if status_of(value) == 500:
            # Tornado's own line would show the query and the headers.
            path, method = self.request.path, self.request.method
            log.error("request_broke", method=method, path=path, exc_info=(typ, value, tb))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs["exc_info"][1] if "exc_info" in kwargs else None
        if status_code == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="latchkey"')
        elif status_code == 405:
            self.set_header("Allow", ", ".join(sorted(self.operations)))
        elif status_code == 413:
            self.set_header("Connection", "close")
        elif isinstance(error, TooManyTries | Overloaded):
            self.set_header("Retry-After", str(math.ceil(error.retry_after.total_seconds())))
        elif isinstance(error, PinsOff | NoFreePin | WebhooksOff | SecretUnreadable):
            pass  # waiting does not help
        elif status_code == 503:
            self.set_header("Retry-After", "2")
        self.answer_error(status_code, error)

    def answer_error(self, status: int, error: BaseException | None) -> None:
        """Answer with the JSON error body."""
        self.write_json(error_body(status, error), status)
