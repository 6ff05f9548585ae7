"""Lists in pages: how many to show, after which, and the link to what follows."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from urllib.parse import urlencode

from msgspec import Meta, Struct

from handlers.base import BaseHandler
from server.domain.pages import EVERYTHING, Page

USUAL_PAGE = 100
Limit = Annotated[int, Meta(ge=1, le=500, description="How many to answer at most.")]

TimeCursor = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,14}-[0-9a-zA-Z_-]{1,128}$(?!\n)",
        description="After which to go on: as the `Link` of the page before says.",
    ),
]
"""A cursor in a list that is sorted by time, newest first; see ``time_cursor``."""


class PageQuery(Struct, frozen=True, kw_only=True):
    """Which page of a list that is whole for those who ask for none; a page has 100 by itself."""

    limit: Limit | None = None
    after: TimeCursor | None = None

    @property
    def page(self) -> Page:
        """The page that is asked for."""
        if self.after is None:
            return EVERYTHING if self.limit is None else Page(limit=self.limit)
        return Page(limit=self.limit or USUAL_PAGE, after=read_time_cursor(self.after))


def time_cursor(at: datetime, thing_id: str) -> str:
    """The cursor that goes on after a thing, by its time and id."""
    return f"{round(at.timestamp() * 1000)}-{thing_id}"


def read_time_cursor(cursor: str) -> tuple[datetime, str]:
    """The time and the id that ``time_cursor`` wrote."""
    milliseconds, _, thing_id = cursor.partition("-")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(milliseconds)), thing_id


def link_next(handler: BaseHandler, after: str) -> None:
    """Say where the next page is."""
    query = [
        (name, value.decode(errors="replace"))
        for name, values in handler.request.query_arguments.items()
        for value in values
        if name != "after"
    ]
    url = f"{handler.request.path}?{urlencode([*query, ('after', after)])}"
    handler.set_header("Link", f'<{url}>; rel="next"')
