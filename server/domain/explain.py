"""Why a temp key opens a door at an instant, or does not, rule by rule."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from msgspec import Struct, structs

from server.domain.errors import Forbidden, LatchkeyError
from server.domain.organizations import Guest
from server.domain.refusals import (
    DoorNeedsCode,
    KeyExpired,
    KeyNotYetValid,
    KeyRefused,
    KeyRevoked,
    KeyUsedUp,
)
from server.domain.schedule import next_opening
from server.domain.temp_keys import (
    Door,
    TempKey,
    check_door_opens_by_tap,
    check_guest,
    check_key,
    check_schedule,
)

_EARLY = datetime.min.replace(tzinfo=UTC)
_LATE = datetime.max.replace(tzinfo=UTC)


class Rule(StrEnum):
    """What a tap on a door is checked for, in this order."""

    REVOKED = "revoked"
    WINDOW = "window"
    USES = "uses"
    USER = "user"
    SCHEDULE = "schedule"
    ACCESS_METHOD = "accessMethod"


class RuleResult(Struct, frozen=True, kw_only=True, rename="camel"):
    """What one rule says. ``reason`` is the word of the refusal; without one, it passed."""

    rule: Rule
    passed: bool
    message: str
    reason: str | None = None


class Explanation(Struct, frozen=True, kw_only=True, rename="camel"):
    """What all rules say. ``next_opening`` is the earliest instant at which all of them pass.

    It is the instant that was asked about where the door opens then, and None where it
    never will, as the key is now.
    """

    opens: bool
    rules: list[RuleResult]
    next_opening: datetime | None


_RULE_OF_REFUSAL: dict[type[KeyRefused], Rule] = {
    KeyRevoked: Rule.REVOKED,
    KeyNotYetValid: Rule.WINDOW,
    KeyExpired: Rule.WINDOW,
    KeyUsedUp: Rule.USES,
}

_PASSED: dict[Rule, str] = {
    Rule.REVOKED: "This key was not revoked",
    Rule.WINDOW: "This key is valid",
    Rule.USES: "This key has a use left",
    Rule.USER: "This key is for this guest",
    Rule.SCHEDULE: "No schedule of this key is against this time",
    Rule.ACCESS_METHOD: "This door opens with a tap",
}


def explain(
    key: TempKey, door: Door, zone: ZoneInfo, guest: Guest | None, at: datetime
) -> Explanation:
    """Say of every rule whether it lets ``guest`` open ``door`` at ``at`` (aware, UTC).

    Args:
        zone: the zone of the door, which the key's schedule is written in.
        guest: who taps; None stands for somebody that the key is for.
    """
    if guest is None:
        guest = _somebody_named(key)
    refusals = _refusals(key, door, zone, guest, at)
    return Explanation(
        opens=not refusals,
        rules=[_result(rule, refusals.get(rule)) for rule in Rule],
        next_opening=_next_opening(key, door, zone, guest, at),
    )


def _somebody_named(key: TempKey) -> Guest:
    return Guest(user_id=key.allowed_user_ids[0]) if key.allowed_user_ids else Guest()


def _result(rule: Rule, refusal: LatchkeyError | None) -> RuleResult:
    if refusal is None:
        return RuleResult(rule=rule, passed=True, message=_PASSED[rule])
    return RuleResult(rule=rule, passed=False, message=str(refusal), reason=refusal.reason)


def _next_opening(
    key: TempKey, door: Door, zone: ZoneInfo, guest: Guest, at: datetime
) -> datetime | None:
    """The only instant that can be it, if the rules that time does not change agree."""
    instant = next_opening(key.schedule, zone, max(at, key.valid_from), key.valid_until)
    if instant is None or _refusals(key, door, zone, guest, instant):
        return None
    return instant


def _refusals(
    key: TempKey, door: Door, zone: ZoneInfo, guest: Guest, at: datetime
) -> dict[Rule, LatchkeyError]:
    """Every rule that refuses, by asking the very checks that opening asks."""
    refusals: dict[Rule, LatchkeyError] = {
        _RULE_OF_REFUSAL[type(refusal)]: refusal for refusal in _refusals_of_key(key, at)
    }
    checks: dict[Rule, Callable[[], None]] = {
        Rule.USER: lambda: check_guest(key, guest),
        Rule.SCHEDULE: lambda: check_schedule(key, zone, at),
        Rule.ACCESS_METHOD: lambda: check_door_opens_by_tap(door),
    }
    for rule, check in checks.items():
        try:
            check()
        except (Forbidden, KeyRefused, DoorNeedsCode) as refusal:
            refusals[rule] = refusal
    return refusals


def _refusals_of_key(key: TempKey, at: datetime) -> Iterator[KeyRefused]:
    """All that ``check_key`` has against the key, not only the first.

    It is asked again as if the rule that refused did not exist, until it has nothing to say.
    """
    while True:
        try:
            check_key(key, at)
            return
        except KeyRefused as refusal:
            yield refusal
            match _RULE_OF_REFUSAL[type(refusal)]:
                case Rule.REVOKED:
                    key = structs.replace(key, revoked_at=None)
                case Rule.WINDOW:
                    key, at = structs.replace(key, valid_from=_EARLY, valid_until=_LATE), _EARLY
                case _:
                    key = structs.replace(key, max_uses=None)
