"""A lock, as a guest may see it."""

from datetime import datetime

from msgspec import Struct

from handlers.languages import Language
from handlers.views.moments import Moment, moment_of, zone_of
from handlers.views.words import N_
from server.domain.locks import Lock
from server.domain.protocol import BoltState, DoorState


class LockView(Struct, frozen=True, kw_only=True):
    """The state of a lock. Readings are the lock's own last words, at ``reported``."""

    name: str
    online: bool
    connection: str
    offline_since: Moment | None
    battery: str | None
    battery_low: bool
    jammed: bool
    bolt: str | None
    door: str | None
    reported: Moment | None
    time_zone: str


_ONLINE = N_("Online")
_OFFLINE_SINCE = N_("Offline since {time} ({relative})")
_NEVER_ONLINE = N_("Offline: it has not connected yet")
_BATTERY = N_("{percent} %")
_BATTERY_LOW = N_("Low: {percent} %")
_BOLT = {
    BoltState.LOCKED: N_("Locked"),
    BoltState.UNLOCKED: N_("Unlocked"),
    BoltState.JAMMED: N_("Jammed"),
}
_DOOR = {DoorState.OPEN: N_("Open"), DoorState.CLOSED: N_("Closed")}


def lock_view(lock: Lock, now: datetime, language: Language) -> LockView:
    """What the pages show of a lock's connection and its newest readings."""
    zone = zone_of(lock)
    connection, reading = lock.connection, lock.telemetry
    since = None
    if connection.online:
        words = language.say(_ONLINE)
    elif connection.since is None:
        words = language.say(_NEVER_ONLINE)
    else:
        since = moment_of(connection.since, zone, now, language)
        words = language.say(_OFFLINE_SINCE, time=since.text, relative=since.relative)
    battery = None
    if reading is not None and reading.battery is not None:
        sentence = _BATTERY_LOW if reading.battery_is_low else _BATTERY
        battery = language.say(sentence, percent=round(reading.battery))
    bolt = reading.bolt if reading is not None else None
    door = reading.door if reading is not None else None
    return LockView(
        name=lock.name,
        online=connection.online,
        connection=words,
        offline_since=since,
        battery=battery,
        battery_low=reading is not None and reading.battery_is_low,
        jammed=bolt is BoltState.JAMMED,
        bolt=language.say(_BOLT[bolt]) if bolt is not None else None,
        door=language.say(_DOOR[door]) if door is not None else None,
        reported=moment_of(reading.received_at, zone, now, language)
        if reading is not None
        else None,
        time_zone=zone.key,
    )
