"""The error page: what to tell a guest for each stable reason word."""

from msgspec import Struct

from handlers.languages import Language
from handlers.views.words import N_, Words, filled


class ErrorWords(Struct, frozen=True, kw_only=True):
    """What ``error.html`` says: what happened, and what next."""

    title: str
    message: str
    next_step: str


_ERROR_WORDS = {
    "not_found": Words(
        N_("Page not found"),
        N_("There is nothing at this address."),
        N_("Check that you opened the whole link, or ask whoever sent it to send it again."),
    ),
    "temp_key_not_found": Words(
        N_("Key not found"),
        N_("There is no key at this link."),
        N_("Check that you opened the whole link, or ask whoever sent it to send it again."),
    ),
    "door_not_found": Words(
        N_("Door not found"),
        N_("Your key has no such door."),
        N_("Go back to your key and choose a door there."),
    ),
    "invalid_input": Words(
        N_("That did not work"),
        N_("The server could not make sense of the request. Nothing was sent to the lock."),
        N_("Go back to your key and tap Open again."),
    ),
    "method_not_allowed": Words(
        N_("This is not a page to visit"),
        N_("This address only takes what a button sends. Nothing was sent to the lock."),
        N_("Open your link again and tap Open there."),
    ),
    "unauthenticated": Words(
        N_("Please sign in"),
        N_("This key is personal: it works only for the people it names."),
        N_("Sign in, then open your link again."),
    ),
    "guest_not_allowed": Words(
        N_("This key is somebody else's"),
        N_("This key is personal, and it does not name you."),
        N_("Ask whoever sent you this link for a key of your own."),
    ),
    "forbidden": Words(
        N_("Not allowed"),
        N_("You may not open this page."),
        N_("If you think you should, ask whoever sent you this link."),
    ),
    "key_revoked": Words(
        N_("Your key was revoked"),
        N_("It opens nothing any more. Nothing was sent to the lock."),
        N_("If you did not expect this, ask whoever sent you this link."),
    ),
    "key_not_yet_valid": Words(
        N_("Your key is not valid yet"),
        N_("It is too early to open this door. Nothing was sent to the lock."),
        N_("Go back to your key to see from when it works."),
    ),
    "key_expired": Words(
        N_("Your key has expired"),
        N_("Its time is over. Nothing was sent to the lock."),
        N_("If you still need to get in, ask whoever sent you this link for a new one."),
    ),
    "key_used_up": Words(
        N_("Your key is used up"),
        N_("It has opened as often as it may. Nothing was sent to the lock."),
        N_("If you still need to get in, ask whoever sent you this link for a new one."),
    ),
    "key_outside_schedule": Words(
        N_("Your key does not work at this hour"),
        N_("It opens this door only at set times. Nothing was sent to the lock."),
        N_("Go back to your key to see when it works."),
    ),
    "lock_not_found": Words(
        N_("This door is not available"),
        N_("Its lock is no longer known here."),
        N_("Please tell whoever sent you the link."),
    ),
    "door_needs_code": Words(
        N_("This door opens with a PIN"),
        N_("It does not open from this page. Nothing was sent to the lock."),
        N_("Enter your PIN at the panel beside the door."),
    ),
    "too_many_tries": Words(
        N_("Too many tries"),
        N_("Too many links that lead nowhere were opened from where you are."),
        N_("Wait a minute, check that you have the whole link, and open it again."),
    ),
    "too_many_requests": Words(
        N_("Too many tries"),
        N_("There were too many tries in a short time. Nothing was sent to the lock."),
        N_("Wait a minute, then go back to your key and tap Open again."),
    ),
    "tap_too_late": Words(
        N_("Your tap came too late"),
        N_("It was on its way for too long. Nothing was sent to the lock."),
        N_("Go back to your key and tap Open again."),
    ),
    "lock_unreachable": Words(
        N_("The lock cannot be reached"),
        N_("Part of the server is away. Nothing was sent to the lock, and nothing will be."),
        N_("Try again in a moment."),
    ),
    "storage_unavailable": Words(
        N_("The server is busy"),
        N_("It could not do this just now, and nothing will be sent to the lock later."),
        N_("Try again in a moment."),
    ),
}
_SOMETHING_WENT_WRONG = Words(
    N_("Something went wrong"),
    N_("It is our fault, not yours."),
    N_("Try again in a moment. If you have just tapped Open, try the handle first."),
)


def error_words(reason: str, language: Language) -> ErrorWords:
    """What to tell a guest for the stable ``reason`` word of an error."""
    words = filled(_ERROR_WORDS.get(reason, _SOMETHING_WENT_WRONG), language)
    return ErrorWords(title=words.heading, message=words.message, next_step=words.next_step or "")
