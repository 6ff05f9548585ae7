"""Whole sentences with named placeholders, so that they can be translated one by one."""

from msgspec import Struct


class Words(Struct, frozen=True):
    heading: str
    message: str
    next_step: str | None = None


def filled(words: Words, **values: object) -> Words:
    return Words(
        words.heading.format(**values),
        words.message.format(**values),
        words.next_step.format(**values) if words.next_step is not None else None,
    )
