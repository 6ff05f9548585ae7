"""Lists in pages: how many to show, after which, and the link to what follows."""

from typing import Annotated
from urllib.parse import urlencode

from msgspec import Meta

from handlers.base import BaseHandler

USUAL_PAGE = 100
Limit = Annotated[int, Meta(ge=1, le=500)]
"""How many to answer at most."""

Cursor = Annotated[str, Meta(max_length=100)]
"""After which to go on: as the ``Link`` of the page before says."""


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
