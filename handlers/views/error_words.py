"""The error page: what to tell a guest for each stable reason word."""

from msgspec import Struct

from handlers.views.words import Words


class ErrorWords(Struct, frozen=True, kw_only=True):
    """What ``error.html`` says: what happened, and what next."""

    title: str
    message: str
    next_step: str


_ERROR_WORDS = {
    "not_found": Words(
        "Page not found",
        "There is nothing at this address.",
        "Check that you opened the whole link, or ask whoever sent it to send it again.",
    ),
    "temp_key_not_found": Words(
        "Key not found",
        "There is no key at this link.",
        "Check that you opened the whole link, or ask whoever sent it to send it again.",
    ),
    "door_not_found": Words(
        "Door not found",
        "Your key has no such door.",
        "Go back to your key and choose a door there.",
    ),
    "invalid_input": Words(
        "That did not work",
        "The server could not make sense of the request. Nothing was sent to the lock.",
        "Go back to your key and tap Open again.",
    ),
    "method_not_allowed": Words(
        "This is not a page to visit",
        "This address only takes what a button sends. Nothing was sent to the lock.",
        "Open your link again and tap Open there.",
    ),
    "unauthenticated": Words(
        "Please sign in",
        "This key is personal: it works only for the people it names.",
        "Sign in, then open your link again.",
    ),
    "guest_not_allowed": Words(
        "This key is somebody else's",
        "This key is personal, and it does not name you.",
        "Ask whoever sent you this link for a key of your own.",
    ),
    "forbidden": Words(
        "Not allowed",
        "You may not open this page.",
        "If you think you should, ask whoever sent you this link.",
    ),
    "key_revoked": Words(
        "Your key was revoked",
        "It opens nothing any more. Nothing was sent to the lock.",
        "If you did not expect this, ask whoever sent you this link.",
    ),
    "key_not_yet_valid": Words(
        "Your key is not valid yet",
        "It is too early to open this door. Nothing was sent to the lock.",
        "Go back to your key to see from when it works.",
    ),
    "key_expired": Words(
        "Your key has expired",
        "Its time is over. Nothing was sent to the lock.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    "key_used_up": Words(
        "Your key is used up",
        "It has opened as often as it may. Nothing was sent to the lock.",
        "If you still need to get in, ask whoever sent you this link for a new one.",
    ),
    "door_needs_code": Words(
        "This door opens with a PIN",
        "It does not open from this page. Nothing was sent to the lock.",
        "Enter your PIN at the panel beside the door.",
    ),
    "too_many_tries": Words(
        "Too many tries",
        "Too many links that lead nowhere were opened from where you are.",
        "Wait a minute, check that you have the whole link, and open it again.",
    ),
    "too_many_requests": Words(
        "Too many tries",
        "There were too many tries in a short time. Nothing was sent to the lock.",
        "Wait a minute, then go back to your key and tap Open again.",
    ),
    "storage_unavailable": Words(
        "The server is busy",
        "It could not do this just now, and nothing will be sent to the lock later.",
        "Try again in a moment.",
    ),
}
_SOMETHING_WENT_WRONG = Words(
    "Something went wrong",
    "It is our fault, not yours.",
    "Try again in a moment. If you have just tapped Open, try the handle first.",
)


def error_words(reason: str) -> ErrorWords:
    """What to tell a guest for the stable ``reason`` word of an error."""
    words = _ERROR_WORDS.get(reason, _SOMETHING_WENT_WRONG)
    return ErrorWords(title=words.heading, message=words.message, next_step=words.next_step or "")
