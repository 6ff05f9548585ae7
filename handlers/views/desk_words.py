"""What the dashboard says: sentences for operators, about locks, connections and errors."""

from collections.abc import Mapping

from handlers.views.words import Words
from server.domain.attention import Trouble
from server.domain.locks import OfflineReason

TROUBLES: Mapping[Trouble, str] = {
    Trouble.OFFLINE: "Offline",
    Trouble.JAMMED: "Bolt jammed",
    Trouble.BATTERY_LOW: "Battery low",
    Trouble.CLOCK_SKEWED: "Clock off",
    Trouble.NEVER_ONLINE: "Never connected",
}

WHY_OFFLINE: Mapping[OfflineReason, str] = {
    OfflineReason.CLOSED: "It closed the connection",
    OfflineReason.TIMEOUT: "It stopped answering",
    OfflineReason.SUPERSEDED: "A newer connection took over",
    OfflineReason.SERVER_LOST: "The server node that held it went down",
    OfflineReason.DRAINED: "The server node that held it was stopped",
    OfflineReason.CREDENTIAL_REVOKED: "Its credential was replaced or revoked",
}

_SIGN_IN_PROBLEMS: Mapping[int, str] = {
    401: "That did not work: the API key or token is not known here, or no longer good.",
    429: "There were too many wrong tries from where you are. Wait a minute, then try again.",
    503: "The server cannot check this right now. Try again in a moment.",
}

_ERRORS: Mapping[str, Words] = {
    "not_found": Words("There is no such page", "The address leads nowhere in the dashboard."),
    "lock_not_found": Words(
        "There is no such lock", "It does not exist, or it does not belong to you."
    ),
    "temp_key_not_found": Words(
        "There is no such key", "It does not exist, or it does not belong to you."
    ),
    "storage_unavailable": Words(
        "The database does not answer",
        "Nothing is known to have changed. Locks that are connected stay connected. "
        "Try again in a moment.",
    ),
    "forbidden": Words("Not accepted", "{message}."),
    "lock_offline": Words(
        "The lock is offline", "Nothing was sent to it, and nothing will be sent later."
    ),
    "lock_busy": Words(
        "The lock is busy", "It is opening for somebody else right now. Nothing was sent."
    ),
}
_OTHER = Words("That did not work", "{message}.")


def sign_in_problem(status: int) -> str:
    """Why nobody was signed in."""
    return _SIGN_IN_PROBLEMS[status]


def error_words_for_operators(reason: str, message: str) -> Words:
    """What to tell an operator about an error; ``message`` is the error's own sentence."""
    words = _ERRORS.get(reason, _OTHER)
    return Words(words.heading, words.message.format(message=message.rstrip(".")))
