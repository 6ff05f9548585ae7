"""What the frames' types do not say of the protocol: what answers what, and what ends it."""

from collections.abc import Mapping

from server.domain.protocol import (
    Ack,
    Batch,
    CloseCode,
    Command,
    Event,
    Hello,
    Key,
    LockFrame,
    Result,
    ServerFrame,
    Telemetry,
    Time,
    TimeRequest,
    Welcome,
)

Frame = LockFrame | ServerFrame

ANSWERED_BY: Mapping[type[Frame], type[Frame]] = {
    Hello: Welcome,
    Telemetry: Ack,
    Event: Ack,
    Batch: Ack,
    TimeRequest: Time,
    Command: Result,
    Key: Result,
}

CORRELATED_BY: Mapping[type[Frame], str] = {
    TimeRequest: "t",
    Time: "t",
    Command: "id",
    Key: "id",
    Result: "commandId",
}
"""The field that tells which answer belongs to which question."""

CLOSE_CODES: Mapping[CloseCode, tuple[str, str]] = {
    CloseCode.GOING_AWAY: ("the server goes down", "connects again after a random 0 to 30 s"),
    CloseCode.UNSUPPORTED_DATA: ("a binary frame", "connects again, and sends text"),
    CloseCode.TOO_BIG: ("a frame over the limit", "connects again, without that frame"),
    CloseCode.RESTART: ("the server restarts", "connects again after a random 0 to 30 s"),
    CloseCode.TRY_AGAIN_LATER: (
        "overload",
        "waits as many seconds as the reason says, and a random time more",
    ),
    CloseCode.SUPERSEDED: (
        "another connection of this lock took over",
        "stays away for five to ten minutes",
    ),
    CloseCode.CREDENTIAL_REVOKED: ("the credential was revoked", "stops"),
    CloseCode.NO_HELLO: ("no hello in time", "connects again"),
    CloseCode.BROKEN_FRAME: ("a frame broke the protocol", "connects again, without that frame"),
    CloseCode.TOO_MANY_FRAMES: ("too many frames", "slows down, and connects again"),
    CloseCode.TOO_SLOW: ("the lock reads too slowly", "connects again"),
}
"""Why the server closes, and what the lock does then."""
