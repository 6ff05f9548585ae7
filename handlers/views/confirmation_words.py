"""What the confirmation page says of each outcome, in whole sentences."""

from enum import StrEnum

from handlers.views.words import Words
from server.domain.commands import RefusalReason


class Outcome(StrEnum):
    """What the confirmation page says. Styles and scripts see it as ``data-state``."""

    UNKNOWN = "unknown"
    """An open command was sent, and the link does not say which."""
    SENDING = "sending"
    WAITING = "waiting"
    """Not sent yet: the lock is offline and has some seconds to come back."""
    SENT = "sent"
    ACCEPTED = "accepted"
    OPENED = "opened"
    OPENED_EARLIER = "opened-earlier"
    """It opened, and its latch has fallen shut again since."""
    REFUSED = "refused"
    BUSY = "busy"
    FAILED = "failed"
    EXPIRED = "expired"
    OFFLINE = "offline"
    """Expired, or of unknown outcome, because the lock was offline."""
    UNCONFIRMED = "unconfirmed"


OUTCOME_WORDS = {
    Outcome.UNKNOWN: Words(
        "Open command sent",
        "An open command was sent to the lock. This page cannot tell what the lock answered.",
        "Try the door. If it stays closed, go back to your key and tap Open again.",
    ),
    Outcome.SENDING: Words(
        "Sending",
        "The open command is on its way to the lock.",
        "Stay at the door. This takes a moment.",
    ),
    Outcome.WAITING: Words(
        "Waiting for the lock",
        "The lock is offline. Your open command waits for it, for a few seconds only.",
        "Stay at the door until {expires_at}. If the lock is back by then, the command goes out.",
    ),
    Outcome.SENT: Words(
        "Sent to the lock",
        "The open command was sent. The lock has not answered yet.",
        "Stay at the door. This takes a moment.",
    ),
    Outcome.ACCEPTED: Words(
        "The lock has it",
        "The lock got the open command and is drawing its bolt.",
        "Get ready to push the door.",
    ),
    Outcome.OPENED: Words(
        "The door is open",
        "Push it now.",
        "It can be pushed for about {seconds} seconds. If you missed it, go back and tap Open "
        "again.",
    ),
    Outcome.OPENED_EARLIER: Words(
        "The door was opened",
        "The lock opened it on {opened_at}.",
        "It could be pushed for about {seconds} seconds. To open it again, go back to your key.",
    ),
    Outcome.EXPIRED: Words(
        "The door did not open",
        "The open command could not be delivered in time. Nothing was sent late; it will not open "
        "later.",
        "Go back to your key and tap Open again.",
    ),
    Outcome.OFFLINE: Words(
        "The lock was offline",
        "It did not come back in time. Nothing was sent late; it will not open later.",
        "Try again in a minute. If the lock stays offline, call whoever sent you this link.",
    ),
    Outcome.UNCONFIRMED: Words(
        "No answer from the lock",
        "It has not said whether it opened. Try the handle.",
        "If the door stays closed, go back to your key and tap Open again.",
    ),
    Outcome.BUSY: Words(
        "Somebody else is opening this door",
        "Another opening is under way, so yours was not carried out.",
        "Wait a few seconds. If the door is closed then, go back to your key and tap Open again.",
    ),
}
OFFLINE_WITHOUT_RECORD = Words(
    "The lock was offline",
    "It cannot get an open command while it is offline.",
    "Go back to your key to see whether the lock has come back, and tap Open again.",
)

REFUSED = Words(
    "The lock refused",
    "The lock got the open command and did not open.",
    "Go back to your key and tap Open again. If it refuses again, call whoever sent you this link.",
)
REFUSED_BECAUSE = {
    RefusalReason.EXPIRED: Words(
        "The command came too late",
        "It reached the lock after its time was up, so the lock refused it. It will not open "
        "later.",
        "Go back to your key and tap Open again.",
    ),
    RefusalReason.STALE: Words(
        "The lock has just reconnected",
        "The open command belonged to its earlier connection, so the lock refused it. It will not "
        "open later.",
        "Go back to your key and tap Open again.",
    ),
    RefusalReason.CLOCK: Words(
        "The lock is setting its clock",
        "It does not know the time yet, and refuses to open until it does.",
        "Wait a few seconds, then go back to your key and tap Open again.",
    ),
    RefusalReason.REVOKED: Words(
        "Your key was revoked",
        "It was taken back while you opened, so nothing was sent to the lock.",
        "If you did not expect this, ask whoever sent you this link.",
    ),
    RefusalReason.JAMMED: Words(
        "The bolt is jammed",
        "The lock did not open because its bolt is stuck.",
        "Push or pull the door a little to free the bolt, then go back to your key and tap Open "
        "again.",
    ),
}
FAILED = Words(
    "The lock could not open",
    "It tried, and did not manage.",
    "Go back to your key and tap Open again. If it fails again, call whoever sent you this link.",
)
FAILED_BECAUSE = {
    RefusalReason.JAMMED: Words(
        "The bolt is jammed",
        "The lock tried to open, but its bolt is stuck.",
        "Push or pull the door a little to free the bolt, then go back to your key and tap Open "
        "again.",
    ),
}

WAS_OFFLINE = "The device was offline when the command was sent."
OFFLINE_MEANS = {
    Outcome.WAITING: "A command never waits long for a lock. After {expires_at} nothing is sent "
    "any more, and it will not open later.",
    Outcome.SENDING: "It has come back since, and the command is on its way to it.",
    Outcome.SENT: "It has come back since, and the command has been sent to it.",
    Outcome.EXPIRED: "A command never waits for a lock: this one is gone.",
    Outcome.OFFLINE: "A command never waits for a lock: this one is gone.",
    Outcome.UNCONFIRMED: "It came back in time to be sent the command, and has not answered it.",
    Outcome.BUSY: "A command never waits for a lock: yours is gone.",
}
OFFLINE_MEANS_AT_LEAST = (
    "A command never waits for a lock. If the lock was not back within seconds, nothing was sent "
    "to it, and it will not open later."
)
NOT_COUNTED = "This try does not count as a use of your key."
