"""Whole sentences with named placeholders, so that they can be translated one by one."""

from msgspec import Struct

from handlers.languages import Language


def N_(sentence: str) -> str:  # noqa: N802 - the name that gettext's tools look for
    """Mark a sentence that is translated where it is used; see ``translations/``."""
    return sentence


def N_plural(one: str, many: str) -> tuple[str, str]:  # noqa: N802 - as above
    """Mark a sentence about a number, for ``Language.count``."""
    return one, many


class Words(Struct, frozen=True):
    """What a page says: what is so, and what next."""

    heading: str
    message: str
    next_step: str | None = None


def filled(words: Words, language: Language, **values: object) -> Words:
    """The words in a language, with their placeholders filled."""
    return Words(
        language.say(words.heading, **values),
        language.say(words.message, **values),
        language.say(words.next_step, **values) if words.next_step is not None else None,
    )
