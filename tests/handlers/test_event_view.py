"""Events in words."""

from handlers.views.event_view import EVENT_TYPES
from server.domain import events
from server.domain.events import EventData


def test_every_event_that_there_is_has_words_and_no_other():
    kinds = {
        name
        for name, kind in vars(events).items()
        if isinstance(kind, type) and issubclass(kind, EventData) and kind is not EventData
    }
    assert set(EVENT_TYPES) == kinds
