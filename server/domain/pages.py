"""Lists in pages, newest first."""

from datetime import datetime

from msgspec import Struct


class Page(Struct, frozen=True, kw_only=True):
    """The part of a list that a caller wants: everything, unless told otherwise.

    ``limit`` is how many at most, without a bound where it is 0; ``after`` are the time and
    the id of the last one that the caller has already.
    """

    limit: int = 0
    after: tuple[datetime, str] | None = None


EVERYTHING = Page()
