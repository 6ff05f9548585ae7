"""What every handler shares: who may call it, the limit on bodies, and how errors are answered."""

import asyncio
import functools
import http
import math
from collections.abc import Awaitable, Mapping
from typing import Any, ClassVar, TypeVar

import msgspec
import structlog
import tornado.web
from msgspec import Struct
from tornado.httputil import HTTPServerRequest

from handlers.accept import languages, prefers_html
from handlers.decoding import decode_fields, decode_form, decode_json
from handlers.languages import Language, language_for
from handlers.operation import Access, Operation, operations_of
from handlers.views.brand_view import BrandView
from handlers.views.error_words import error_words
from handlers.views.urls import key_url
from server import clock
from server.domain.addresses import client_address
from server.domain.errors import (
    AlreadyExists,
    ChangedMeanwhile,
    ChannelClosed,
    DeliveryWaiting,
    DoorNeedsCode,
    Forbidden,
    IllegalTransition,
    InvalidInput,
    InvalidPin,
    KeyRefused,
    LatchkeyError,
    LockBusy,
    LockOffline,
    LockTakesNoKeys,
    LockUnreachable,
    MetricsOff,
    NoFreePin,
    NotFound,
    Overloaded,
    PinsOff,
    ProtocolError,
    SecondTapNeeded,
    StorageUnavailable,
    TapTooLate,
    TempKeyNotFound,
    TooManyFollowers,
    TooManyTries,
    TooManyWebhooks,
    Unauthenticated,
    WebhooksOff,
)
from server.domain.organizations import Operator
from server.domain.secrets import new_id
from server.services.jwks import IssuerUnavailable
from server.services.registry import Services
from server.services.webhook_sending import SecretUnreadable

log = structlog.get_logger(__name__)

MOST_BODY_BYTES = 256 * 1024
_A_YEAR_S = 31_536_000

_STATUS: Mapping[type[LatchkeyError], int] = {
    InvalidInput: 400,
    KeyRefused: 400,
    DoorNeedsCode: 400,
    ProtocolError: 400,
    Unauthenticated: 401,
    InvalidPin: 401,
    Forbidden: 403,
    NotFound: 404,
    MetricsOff: 404,
    AlreadyExists: 409,
    ChangedMeanwhile: 409,
    IllegalTransition: 409,
    DeliveryWaiting: 409,
    TooManyWebhooks: 409,
    SecondTapNeeded: 409,
    TapTooLate: 409,
    TooManyTries: 429,
    LockBusy: 409,
    LockOffline: 502,
    LockTakesNoKeys: 502,
    ChannelClosed: 502,
    StorageUnavailable: 503,
    LockUnreachable: 503,
    PinsOff: 503,
    WebhooksOff: 503,
    SecretUnreadable: 503,
    NoFreePin: 503,
    TooManyFollowers: 503,
    Overloaded: 503,
    IssuerUnavailable: 503,
}

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


class ErrorBody(Struct, frozen=True, kw_only=True):
    """The one body of every JSON error (HTTP contract, Part 2, "errors")."""

    success: bool = False
    error: str
    message: str
    code: int
    reason: str


def status_of(error: BaseException) -> int:
    """The HTTP status that answers ``error``; 500 for what nobody foresaw."""
    if isinstance(error, tornado.web.HTTPError):
        return error.status_code
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return 500


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


def error_body(status: int, error: BaseException | None) -> ErrorBody:
    """The body that tells a program about ``error``; what nobody foresaw is not told."""
    phrase = http.HTTPStatus(status).phrase
    if isinstance(error, InvalidPin):
        phrase = "Invalid PIN"
    if isinstance(error, LatchkeyError):
        return ErrorBody(error=phrase, message=str(error), code=status, reason=error.reason)
    if status == 404:
        return ErrorBody(error=phrase, message=str(NotFound()), code=404, reason=NotFound.reason)
    return ErrorBody(
        error=phrase,
        message=http.HTTPStatus(status).description or phrase,
        code=status,
        reason=phrase.lower().replace(" ", "_"),
    )


class PageHandler(BaseHandler):
    """Answers with a page in the guest's language; errors too, where the caller prefers one."""

    brand: BrandView | None = None
    """Whose pages these are, where that is known."""

    def get_template_namespace(self) -> dict[str, Any]:
        now_ms = int(clock.now().timestamp() * 1000)  # from it the script tells how old a tap is
        return super().get_template_namespace() | {"brand": self.brand, "now_ms": now_ms}

    def render(self, template_name: str, **kwargs: Any) -> "asyncio.Future[None]":
        """Answer with a page; the style of its brand is let into the policy."""
        if self.brand is not None and self.brand.style_source is not None:
            policy = SECURITY_HEADERS["Content-Security-Policy"]
            own = f"style-src 'self' {self.brand.style_source}"
            self.set_header("Content-Security-Policy", policy.replace("style-src 'self'", own))
        return super().render(template_name, **kwargs)

    def get_user_locale(self) -> Language:
        """What the templates know as ``locale``."""
        return self.language

    @functools.cached_property
    def language(self) -> Language:
        """The language that the address asks for (``?lang=``), or else the browser."""
        asked = self.request.query_arguments.get("lang", [b""])[-1].decode(errors="replace")
        return language_for(asked, languages(self.request.headers.get("Accept-Language", "")))

    @property
    def prefers_html(self) -> bool:
        """Whether this is a browser, and no program."""
        return prefers_html(self.request.headers.get("Accept", ""))

    def see_other(self, url: str) -> None:
        """Send the browser on with a GET."""
        self.set_status(303)
        self.set_header("Location", url)
        self.finish()

    def answer_error(self, status: int, error: BaseException | None) -> None:
        """Answer with an error page, or with the JSON body to a program."""
        self.set_header("Vary", "Accept, Accept-Language")
        if not self.prefers_html:
            super().answer_error(status, error)
            return
        reason = error_body(status, error).reason
        words = error_words(reason, self.language)
        self.set_status(status)
        self.render(
            "error.html",
            status=status,
            title=words.title,
            message=words.message,
            next_step=words.next_step,
            key_url=self._way_back(error),
        )

    def _way_back(self, error: BaseException | None) -> str | None:
        """The page of the guest's key, where there is one."""
        key_uuid = self.path_kwargs.get("key_uuid")
        if key_uuid is None or isinstance(error, TempKeyNotFound | TooManyTries):
            return None
        return self.language.link(key_url(key_uuid))


class NoSuchRoute(PageHandler):
    """Answers every path that is no route."""

    async def prepare(self) -> None:
        structlog.contextvars.bind_contextvars(request=self.request_id)
        raise NotFound
