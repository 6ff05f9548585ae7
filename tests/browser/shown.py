"""A page to look at: the galleries lead from one to the next."""

from typing import NamedTuple


class Shown(NamedTuple):
    """A page, and where it is; without a path it is on the screen already."""

    name: str
    path: str | None = None
