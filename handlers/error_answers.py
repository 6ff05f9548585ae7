"""Errors as HTTP answers: the status of each, and the body that tells a program about it."""

import http
from collections.abc import Mapping

import tornado.web
from msgspec import Struct

from server.domain.errors import (
    AlreadyExists,
    ChangedMeanwhile,
    ChannelClosed,
    DeliveryWaiting,
    Forbidden,
    IllegalTransition,
    InvalidInput,
    LatchkeyError,
    LockBusy,
    LockOffline,
    LockTakesNoKeys,
    LockUnreachable,
    MetricsOff,
    NotFound,
    Overloaded,
    ProtocolError,
    StorageUnavailable,
    TooManyFollowers,
    TooManyWebhooks,
    Unauthenticated,
    WebhooksOff,
)
from server.domain.refusals import (
    DoorNeedsCode,
    InvalidPin,
    KeyRefused,
    NoFreePin,
    PinsOff,
    SecondTapNeeded,
    TapTooLate,
    TooManyTries,
)
from server.services.jwks import IssuerUnavailable
from server.services.webhook_sending import SecretUnreadable

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
