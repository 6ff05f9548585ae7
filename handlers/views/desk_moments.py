"""Instants and counts as the dashboard writes them: in English, for now."""

from datetime import datetime
from zoneinfo import ZoneInfo

from handlers.languages import SOURCE, language
from handlers.views.moments import Moment, moment_of


def desk_moment(
    instant: datetime, zone: ZoneInfo, now: datetime, *, seconds: bool = False
) -> Moment:
    """An instant, in the zone of a door."""
    return moment_of(instant, zone, now, language(SOURCE), seconds=seconds)


def counted(sentences: tuple[str, str], n: int) -> str:
    """A sentence about one, or about many."""
    return sentences[0 if n == 1 else 1].format(n=n)
