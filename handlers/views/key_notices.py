"""What a guest should know of a door before the tap: why it may disappoint, or what it needs."""

from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from handlers.languages import Language
from handlers.views.lock_view import lock_view
from handlers.views.moments import moment_of
from handlers.views.words import N_
from server.domain.locks import Lock
from server.domain.refusals import KeyOutsideSchedule
from server.domain.temp_keys import AccessMethod, Door, TempKey, check_schedule


class Notice(Struct, frozen=True):
    """Something a guest should know before the tap; ``kind`` picks the icon."""

    kind: str
    title: str
    text: str


_IS_OFFLINE = Notice(
    "offline",
    N_("This lock is offline"),
    N_(
        "It went offline {relative}, on {time}. You may try: the door opens if the lock comes "
        "back within seconds, and never later."
    ),
)
_NEVER_WAS_ONLINE = Notice(
    "offline",
    N_("This lock is offline"),
    N_(
        "It has not connected yet. You may try: the door opens if the lock connects within "
        "seconds, and never later."
    ),
)
_IS_JAMMED = Notice(
    "jammed",
    N_("The bolt was jammed"),
    N_("So the lock reported {relative}. Push or pull the door a little while it opens."),
)
_HAS_LOW_BATTERY = Notice(
    "battery",
    N_("The battery is low"),
    N_("It has {percent} % left. The lock may need a second try."),
)
_IS_OUTSIDE_HOURS = Notice(
    "hours", N_("Your key is outside its hours"), N_("It works again from {time} ({relative}).")
)
_HAS_NO_MORE_HOURS = Notice(
    "hours", N_("Your key is outside its hours"), N_("It does not work again before it expires.")
)
_NEEDS_PIN = Notice(
    "pin", N_("This door opens with a PIN"), N_("Enter your PIN at the panel beside the door.")
)
_TAKES_PIN = Notice(
    "pin", N_("Or use your PIN"), N_("This door also opens with your PIN at the panel beside it.")
)
_IS_GONE = Notice(
    "gone",
    N_("This door is not available"),
    N_("Its lock is no longer known here. Please tell whoever sent you this link."),
)


def notices_of(door: Door, lock: Lock | None, now: datetime, language: Language) -> list[Notice]:
    """What to know of a door before the tap, the most important first."""
    if lock is None:
        return [_notice(_IS_GONE, language)]
    view = lock_view(lock, now, language)
    found: list[Notice] = []
    if view.offline_since is not None:
        since = view.offline_since
        found.append(_notice(_IS_OFFLINE, language, time=since.text, relative=since.relative))
    elif not view.online:
        found.append(_notice(_NEVER_WAS_ONLINE, language))
    if view.jammed and view.reported is not None:
        found.append(_notice(_IS_JAMMED, language, relative=view.reported.relative))
    if lock.telemetry is not None and lock.telemetry.battery is not None and view.battery_low:
        found.append(_notice(_HAS_LOW_BATTERY, language, percent=round(lock.telemetry.battery)))
    if door.access_method is AccessMethod.CODE:
        found.append(_notice(_NEEDS_PIN, language))
    elif door.access_method is AccessMethod.BOTH:
        found.append(_notice(_TAKES_PIN, language))
    return found


def outside_hours(key: TempKey, zone: ZoneInfo, now: datetime, language: Language) -> Notice | None:
    """Why the key's hours keep it from opening a door in that zone now; None where they do not."""
    try:
        check_schedule(key, zone, now)
    except KeyOutsideSchedule as refused:
        if refused.next_opening is None:
            return _notice(_HAS_NO_MORE_HOURS, language)
        again = moment_of(refused.next_opening, zone, now, language)
        return _notice(_IS_OUTSIDE_HOURS, language, time=again.text, relative=again.relative)
    return None


def _notice(notice: Notice, language: Language, **values: object) -> Notice:
    return Notice(notice.kind, language.say(notice.title), language.say(notice.text, **values))
