"""Reading the parts of a URL."""

from server.domain.errors import InvalidInput

LARGEST = 2**53 - 1


def positive(name: str, text: str) -> int:
    """A whole number above zero.

    Raises:
        InvalidInput: ``text`` is something else.
    """
    if text.isascii() and text.isdecimal() and len(text) <= 16 and 0 < int(text) <= LARGEST:
        return int(text)
    raise InvalidInput(name, "must be a whole number above zero")


def offline_flag(text: str) -> bool:
    """Whether a link says that the lock was offline: only ``true`` says so."""
    return text == "true"
