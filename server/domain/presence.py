"""When a lock was online: worked out from its events, for a window that ends now."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from server.domain.locks import Lock


class PresenceEvent(Struct, frozen=True):
    """One change of a lock's presence."""

    at: datetime
    online: bool


class Stretch(Struct, frozen=True):
    """A time in which a lock was online or not, or of which nothing is known (None)."""

    begin: datetime
    end: datetime
    online: bool | None

    @property
    def length(self) -> timedelta:
        return self.end - self.begin


def presence_between(
    lock: Lock, events: Sequence[PresenceEvent], begin: datetime, end: datetime
) -> list[Stretch]:
    """What a lock's presence was from ``begin`` to ``end``, without gaps.

    ``events`` are all its changes within that time, in order. What was before the first of
    them was the other state, as far as there was a lock; without any, its present state has
    lasted since it last changed.
    """
    changes = [(max(event.at, begin), event.online) for event in events if event.at < end]
    connection = lock.connection
    last = changes[-1][0] if changes else begin
    if connection.since is not None and connection.since > last:  # its event is not written yet
        changes.append((connection.since, connection.online))
    before = not changes[0][1] if changes else connection.online
    stretches: list[Stretch] = []
    if lock.created_at > begin:
        _add(stretches, Stretch(begin, min(lock.created_at, end), None))
    at, online = max(begin, min(lock.created_at, end)), before
    for changed_at, is_online in [*changes, (end, None)]:
        until = max(at, min(changed_at, end))
        _add(stretches, Stretch(at, until, online))
        at, online = until, is_online
    return stretches


def _add(stretches: list[Stretch], more: Stretch) -> None:
    if more.begin == more.end:
        return
    if stretches and stretches[-1].online == more.online:
        more = Stretch(stretches.pop().begin, more.end, more.online)
    stretches.append(more)
