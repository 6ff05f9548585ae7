"""What the confirmation page says of each outcome, in whole sentences."""

from enum import StrEnum

from handlers.views.words import N_, Words
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
        N_("Open command sent"),
        N_("An open command was sent to the lock. This page cannot tell what the lock answered."),
        N_("Try the door. If it stays closed, go back to your key and tap Open again."),
    ),
    Outcome.SENDING: Words(
        N_("Sending"),
        N_("The open command is on its way to the lock."),
        N_("Stay at the door. This takes a moment."),
    ),
    Outcome.WAITING: Words(
        N_("Waiting for the lock"),
        N_("The lock is offline. Your open command waits for it, for a few seconds only."),
        N_(
            "Stay at the door until {expires_at}. If the lock is back by then, the command "
            "goes out."
        ),
    ),
    Outcome.SENT: Words(
        N_("Sent to the lock"),
        N_("The open command was sent. The lock has not answered yet."),
        N_("Stay at the door. This takes a moment."),
    ),
    Outcome.ACCEPTED: Words(
        N_("The lock has it"),
        N_("The lock got the open command and is drawing its bolt."),
        N_("Get ready to push the door."),
    ),
    Outcome.OPENED: Words(
        N_("The door is open"),
        N_("Push it now."),
        N_(
            "It can be pushed for about {seconds} seconds. If you missed it, go back and tap Open "
            "again."
        ),
    ),
    Outcome.OPENED_EARLIER: Words(
        N_("The door was opened"),
        N_("The lock opened it on {opened_at}."),
        N_(
            "It could be pushed for about {seconds} seconds. To open it again, go back to your key."
        ),
    ),
    Outcome.EXPIRED: Words(
        N_("The door did not open"),
        N_(
            "The open command could not be delivered in time. Nothing was sent late; it "
            "will not open later."
        ),
        N_("Go back to your key and tap Open again."),
    ),
    Outcome.OFFLINE: Words(
        N_("The lock was offline"),
        N_("It did not come back in time. Nothing was sent late; it will not open later."),
        N_("Try again in a minute. If the lock stays offline, call whoever sent you this link."),
    ),
    Outcome.UNCONFIRMED: Words(
        N_("No answer from the lock"),
        N_("It has not said whether it opened. Try the handle."),
        N_("If the door stays closed, go back to your key and tap Open again."),
    ),
    Outcome.BUSY: Words(
        N_("Somebody else is opening this door"),
        N_("Another opening is under way, so yours was not carried out."),
        N_(
            "Wait a few seconds. If the door is closed then, go back to your key and tap "
            "Open again."
        ),
    ),
}
OFFLINE_WITHOUT_RECORD = Words(
    N_("The lock was offline"),
    N_("It cannot get an open command while it is offline."),
    N_("Go back to your key to see whether the lock has come back, and tap Open again."),
)

REFUSED = Words(
    N_("The lock refused"),
    N_("The lock got the open command and did not open."),
    N_(
        "Go back to your key and tap Open again. If it refuses again, call whoever sent you "
        "this link."
    ),
)
REFUSED_BECAUSE = {
    RefusalReason.EXPIRED: Words(
        N_("The command came too late"),
        N_(
            "It reached the lock after its time was up, so the lock refused it. It will not open "
            "later."
        ),
        N_("Go back to your key and tap Open again."),
    ),
    RefusalReason.STALE: Words(
        N_("The lock has just reconnected"),
        N_(
            "The open command belonged to its earlier connection, so the lock refused it. "
            "It will not open later."
        ),
        N_("Go back to your key and tap Open again."),
    ),
    RefusalReason.CLOCK: Words(
        N_("The lock is setting its clock"),
        N_("It does not know the time yet, and refuses to open until it does."),
        N_("Wait a few seconds, then go back to your key and tap Open again."),
    ),
    RefusalReason.REVOKED: Words(
        N_("Your key was revoked"),
        N_("It was taken back while you opened, so nothing was sent to the lock."),
        N_("If you did not expect this, ask whoever sent you this link."),
    ),
    RefusalReason.UNREACHABLE: Words(
        N_("The lock cannot be reached"),
        N_("Part of the server is away. Nothing was sent to the lock, and nothing will be."),
        N_("Go back to your key and tap Open again."),
    ),
    RefusalReason.JAMMED: Words(
        N_("The bolt is jammed"),
        N_("The lock did not open because its bolt is stuck."),
        N_(
            "Push or pull the door a little to free the bolt, then go back to your key and "
            "tap Open again."
        ),
    ),
}
FAILED = Words(
    N_("The lock could not open"),
    N_("It tried, and did not manage."),
    N_(
        "Go back to your key and tap Open again. If it fails again, call whoever sent you "
        "this link."
    ),
)
FAILED_BECAUSE = {
    RefusalReason.JAMMED: Words(
        N_("The bolt is jammed"),
        N_("The lock tried to open, but its bolt is stuck."),
        N_(
            "Push or pull the door a little to free the bolt, then go back to your key and "
            "tap Open again."
        ),
    ),
}

WAS_OFFLINE = N_("The device was offline when the command was sent.")
OFFLINE_MEANS = {
    Outcome.WAITING: N_(
        "A command never waits long for a lock. After {expires_at} nothing is sent "
        "any more, and it will not open later."
    ),
    Outcome.SENDING: N_("It has come back since, and the command is on its way to it."),
    Outcome.SENT: N_("It has come back since, and the command has been sent to it."),
    Outcome.EXPIRED: N_("A command never waits for a lock: this one is gone."),
    Outcome.OFFLINE: N_("A command never waits for a lock: this one is gone."),
    Outcome.UNCONFIRMED: N_(
        "It came back in time to be sent the command, and has not answered it."
    ),
    Outcome.BUSY: N_("A command never waits for a lock: yours is gone."),
}
OFFLINE_MEANS_AT_LEAST = N_(
    "A command never waits for a lock. If the lock was not back within seconds, nothing was sent "
    "to it, and it will not open later."
)
NOT_COUNTED = N_("This try does not count as a use of your key.")
