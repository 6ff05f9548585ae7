"""A fleet at a glance: what needs attention, found, counted and in pages."""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from server import clock
from server.domain.attention import Attention, Trouble, attention_of, troubles_of, worst_first
from server.domain.locks import Lock
from server.domain.organizations import Operator, Scope
from server.domain.presence import Stretch, presence_between
from server.storage.fleet_store import FleetStore

LOCKS_ON_A_PAGE = 50
PRESENCE_SHOWN = timedelta(hours=48)
_MOST_PRESENCE_EVENTS = 5000
_COUNT_AGAIN_AFTER_S = 3.0
_MOST_COUNTED = 1000
"""As many callers' counts are kept; then all are counted again."""


class Show(StrEnum):
    """Which locks of a fleet to list."""

    ALL = "all"
    ATTENTION = "attention"
    OFFLINE = "offline"
    JAMMED = "jammed"
    BATTERY = "battery"
    CLOCK = "clock"
    NEVER = "never"
    ONLINE = "online"


_TROUBLE_OF = {
    Show.OFFLINE: Trouble.OFFLINE,
    Show.JAMMED: Trouble.JAMMED,
    Show.BATTERY: Trouble.BATTERY_LOW,
    Show.CLOCK: Trouble.CLOCK_SKEWED,
    Show.NEVER: Trouble.NEVER_ONLINE,
}


class FleetQuestion(Struct, frozen=True, kw_only=True):
    """Which locks to list; ``text`` is looked for in names, ids and serial numbers."""

    text: str = ""
    show: Show = Show.ALL
    firmware: str | None = None
    page: int = 1


class FleetPage(Struct, frozen=True, kw_only=True):
    """A page of the locks that were asked for, and what the whole fleet needs."""

    locks: list[Lock]
    found: int
    page: int
    pages: int
    attention: Attention
    firmwares: Mapping[str, int]
    presence: Mapping[int, list[Stretch]]
    at: datetime


class Fleet:
    """All locks of a caller, seen at once."""

    def __init__(self, store: FleetStore) -> None:
        self._store = store
        self._counted: dict[Scope, tuple[float, Attention]] = {}
        self._counting = asyncio.Lock()

    async def page(self, operator: Operator, asked: FleetQuestion) -> FleetPage:
        """The locks that were asked for, those with problems first, and their last two days."""
        now = clock.now()
        locks = await self._store.states(operator.scope)
        troubles = {lock.id: troubles_of(lock) for lock in locks}
        found = sorted(filter(_asked_for(asked, troubles), locks), key=worst_first)
        pages = max(1, -(-len(found) // LOCKS_ON_A_PAGE))
        page = min(asked.page, pages)
        shown = found[(page - 1) * LOCKS_ON_A_PAGE : page * LOCKS_ON_A_PAGE]
        return FleetPage(
            locks=shown,
            found=len(found),
            page=page,
            pages=pages,
            attention=attention_of(list(troubles.values())),
            firmwares=_firmwares(locks),
            presence=await self.presence(shown, now),
            at=now,
        )

    async def attention(self, operator: Operator) -> Attention:
        """How many of the caller's locks have which trouble, or had some seconds ago.

        Every page that is open asks for this after a change, so it is counted once for all.
        """
        async with self._counting:
            now = time.monotonic()
            counted_at, attention = self._counted.get(operator.scope, (-math.inf, None))
            if attention is None or now - counted_at > _COUNT_AGAIN_AFTER_S:
                locks = await self._store.states(operator.scope)
                attention = attention_of([troubles_of(lock) for lock in locks])
                if len(self._counted) >= _MOST_COUNTED:
                    self._counted.clear()
                self._counted[operator.scope] = (now, attention)
            return attention

    async def presence(self, locks: list[Lock], now: datetime) -> dict[int, list[Stretch]]:
        """When these locks were online within the last two days, by id."""
        begin = now - PRESENCE_SHOWN
        events = await self._store.presence(
            [lock.id for lock in locks], begin, _MOST_PRESENCE_EVENTS
        )
        return {
            lock.id: presence_between(lock, events.get(lock.id, []), begin, now) for lock in locks
        }


def _asked_for(
    asked: FleetQuestion, troubles: Mapping[int, list[Trouble]]
) -> Callable[[Lock], bool]:
    words = asked.text.casefold().split()

    def is_asked_for(lock: Lock) -> bool:
        if asked.firmware is not None and lock.connection.firmware != asked.firmware:
            return False
        match asked.show:
            case Show.ALL:
                pass
            case Show.ATTENTION:
                if not troubles[lock.id]:
                    return False
            case Show.ONLINE:
                if not lock.connection.online:
                    return False
            case _:
                if _TROUBLE_OF[asked.show] not in troubles[lock.id]:
                    return False
        text = f"{lock.name} #{lock.id} {lock.serial_number or ''} {lock.uuid}".casefold()
        return all(word in text for word in words)

    return is_asked_for


def _firmwares(locks: list[Lock]) -> dict[str, int]:
    """How many locks have which firmware, in the order of their names."""
    known = [lock.connection.firmware for lock in locks if lock.connection.firmware is not None]
    return {firmware: known.count(firmware) for firmware in sorted(set(known))}
