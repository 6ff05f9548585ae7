"""The views of the guest pages, and what the templates make of them."""

import gzip
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import pytest
import tornado.template
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from handlers.languages import language
from handlers.views.confirmation_view import ConfirmationView, confirmation_view
from handlers.views.confirmation_words import Outcome
from handlers.views.error_words import error_words
from handlers.views.key_view import KeyView, key_view
from handlers.views.lock_view import lock_view
from handlers.views.urls import confirmation_url, key_url, open_url, stream_url
from server.domain import errors, refusals
from server.domain.commands import SHOWN_AS_FINAL, CommandState, OpenCommand, RefusalReason, Step
from server.domain.locks import Connection, LatestReading, Lock
from server.domain.protocol import BoltState, DoorState
from server.domain.schedule import ScheduleWindow, Weekday
from server.domain.temp_keys import AccessMethod, Door, KeyStatus, TempKey, status_of

ROOT = Path(__file__).parents[2]
ENGLISH = language("en")
NOW = datetime(2026, 11, 22, 21, 14, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
KEY_UUID = "6f0c7a52-0c55-4be0-9f6c-1d1c6ee1a001"
LATER = "it will not open later"

REASONS = [None, *RefusalReason, "childLock", "the door is open"]


def make_lock(
    lock_id: int = 7,
    *,
    online: bool = True,
    since: datetime | None = NOW - timedelta(minutes=35),
    battery: float | None = 78.0,
    bolt: BoltState | None = BoltState.LOCKED,
    door: DoorState | None = DoorState.CLOSED,
    time_zone: str = "Europe/Rome",
    open_for_seconds: float = 5.0,
) -> Lock:
    return Lock(
        id=lock_id,
        uuid="lock-uuid",
        org_id="org",
        name=f"Lock {lock_id}",
        created_at=NOW - 1000 * HOUR,
        time_zone=time_zone,
        open_for_seconds=open_for_seconds,
        connection=Connection(online=online, since=since),
        telemetry=LatestReading(
            seq=1,
            epoch="e",
            at=NOW,
            received_at=NOW - timedelta(minutes=3),
            battery=battery,
            bolt=bolt,
            door=door,
        ),
    )


def make_door(
    door_id: int = 1,
    lock_id: int = 7,
    label: str | None = "Front door",
    access: AccessMethod = AccessMethod.KEY,
) -> Door:
    return Door(
        id=door_id, lock_id=lock_id, lock_uuid="lock-uuid", label=label, access_method=access
    )


def make_key(
    *doors: Door,
    valid_from: datetime = NOW - 6 * HOUR,
    valid_until: datetime = NOW + 13 * HOUR,
    max_uses: int | None = None,
    used_count: int = 0,
    revoked_at: datetime | None = None,
) -> TempKey:
    return TempKey(
        uuid=KEY_UUID,
        org_id="org",
        created_by="operator",
        created_at=NOW - 48 * HOUR,
        valid_from=valid_from,
        valid_until=valid_until,
        doors=list(doors) or [make_door()],
        description="paid in cash, difficult guest",
        max_uses=max_uses,
        used_count=used_count,
        revoked_at=revoked_at,
    )


def make_command(
    state: CommandState,
    reason: str | None = None,
    *,
    offline: bool = False,
    age: timedelta = 2 * SECOND,
    session_id: str | None = None,
) -> OpenCommand:
    requested_at = NOW - age
    return OpenCommand(
        id="9f3ac1d27be84f60a1b2c3d4e5f60718",
        org_id="org",
        lock_id=7,
        requested_at=requested_at,
        expires_at=requested_at + 8 * SECOND,
        temp_key_uuid=KEY_UUID,
        door_id=1,
        state=state,
        reason=reason,
        offline=offline,
        session_id=session_id,
        history=[Step(state=state, at=requested_at + SECOND)],
    )


def confirm(
    command: OpenCommand | None,
    *,
    lock: Lock | None = None,
    said_offline: bool = False,
    key: TempKey | None = None,
) -> ConfirmationView:
    key = key or make_key()
    return confirmation_view(
        key, key.doors[0], lock or make_lock(), command, said_offline, NOW, ENGLISH
    )


def show_key(key: TempKey, *locks: Lock, now: datetime = NOW) -> KeyView:
    known = {lock.id: lock for lock in locks or [make_lock()]}
    return key_view(key, known, now, ENGLISH, attempt=lambda: "attempt-token")


def said(view: ConfirmationView) -> str:
    """Every sentence of the view; not the lock's own word, which is shown as a quotation."""
    parts = [
        view.heading,
        view.message,
        view.next_step,
        view.offline_note,
        view.offline_meaning,
        view.use_note,
    ]
    return " ".join(part for part in parts if part)


TEMPLATES = tornado.template.Loader(str(ROOT / "templates"))


def render(template: str, **values: object) -> str:
    html = TEMPLATES.load(template).generate(
        static_url=lambda path: f"/static/{path}",
        _=ENGLISH.translate,
        locale=ENGLISH,
        brand=None,
        now_ms=0,
        **values,
    )
    return html.decode()


def words_of(html: str) -> str:
    """What a reader sees of ``html``."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


# URLs


def test_urls_lead_to_the_routes_of_the_contract() -> None:
    assert key_url("abc") == "/temp-keys/abc"
    assert open_url("abc", 2) == "/temp-keys/abc/doors/2/open"
    assert confirmation_url("abc", 2) == "/temp-keys/abc/confirmation?door=2&offline=false"
    assert (
        confirmation_url("abc", 2, "c1", offline=True)
        == "/temp-keys/abc/confirmation?door=2&offline=true&command=c1"
    )
    assert (
        stream_url("abc", 2, "c1")
        == "/temp-keys/abc/confirmation/stream?door=2&offline=false&command=c1"
    )


def test_a_uuid_cannot_leave_its_place_in_a_url() -> None:
    assert key_url("../a?b#c/d") == "/temp-keys/..%2Fa%3Fb%23c%2Fd"


# Times


@pytest.mark.parametrize(
    ("time_zone", "instant", "text"),
    [
        ("UTC", datetime(2026, 11, 23, 8, 5, tzinfo=UTC), "Monday 23 November, 08:05 UTC"),
        (
            "Europe/Rome",
            datetime(2026, 11, 22, 23, 30, tzinfo=UTC),
            "Monday 23 November, 00:30 CET",
        ),
        # the hour that comes twice
        ("Europe/Rome", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "Sunday 25 October, 02:30 CEST"),
        ("Europe/Rome", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "Sunday 25 October, 02:30 CET"),
        # the hour that never comes
        ("Europe/Rome", datetime(2026, 3, 29, 0, 59, tzinfo=UTC), "Sunday 29 March, 01:59 CET"),
        ("Europe/Rome", datetime(2026, 3, 29, 1, 0, tzinfo=UTC), "Sunday 29 March, 03:00 CEST"),
        ("Asia/Kolkata", datetime(2026, 6, 1, 0, 0, tzinfo=UTC), "Monday 1 June, 05:30 IST"),
        ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC), "Monday 1 June, 05:45 UTC+05:45"),
        ("America/Sao_Paulo", datetime(2026, 6, 1, tzinfo=UTC), "Sunday 31 May, 21:00 UTC-03"),
        ("UTC", datetime(2027, 1, 1, tzinfo=UTC), "Friday 1 January 2027, 00:00 UTC"),
        # still this year where the door is
        ("America/New_York", datetime(2027, 1, 1, tzinfo=UTC), "Thursday 31 December, 19:00 EST"),
        ("Not/AZone", datetime(2026, 6, 1, tzinfo=UTC), "Monday 1 June, 00:00 UTC"),
        ("../../etc/passwd", datetime(2026, 6, 1, tzinfo=UTC), "Monday 1 June, 00:00 UTC"),
        ("", datetime(2026, 6, 1, tzinfo=UTC), "Monday 1 June, 00:00 UTC"),
    ],
)
def test_times_are_those_of_the_door(time_zone: str, instant: datetime, text: str) -> None:
    key = make_key(valid_from=instant, valid_until=instant + HOUR)
    validity = show_key(key, make_lock(time_zone=time_zone)).validity
    assert validity.valid_from.text == text
    assert validity.valid_from.iso == instant.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(0), "less than a minute ago"),
        (59 * SECOND, "less than a minute ago"),
        (60 * SECOND, "1 minute ago"),
        (timedelta(minutes=119, seconds=59), "119 minutes ago"),
        (timedelta(hours=2), "2 hours ago"),
        (timedelta(hours=47, minutes=59), "47 hours ago"),
        (timedelta(hours=48), "2 days ago"),
        (timedelta(days=400), "400 days ago"),
        (-1 * SECOND, "in less than a minute"),
        (-60 * SECOND, "in 1 minute"),
        (-61 * SECOND, "in 2 minutes"),
        (timedelta(minutes=-119), "in 119 minutes"),
        (timedelta(minutes=-121), "in 3 hours"),
        (timedelta(hours=-47, minutes=-1), "in 2 days"),
        (timedelta(hours=-48), "in 2 days"),
        (timedelta(hours=-49), "in 3 days"),
    ],
)
def test_how_long_ago_is_never_too_long_and_how_soon_never_too_soon(
    ago: timedelta, text: str
) -> None:
    key = make_key(valid_from=NOW - ago, valid_until=NOW + 9000 * HOUR)
    assert show_key(key).validity.valid_from.relative == text


# The key's page


def test_a_valid_key_has_a_button_for_its_door() -> None:
    view = show_key(make_key())
    (door,) = view.doors
    assert (view.status, view.may_open) == (KeyStatus.VALID, True)
    assert view.heading == "Your key to Front door"
    assert (door.may_open, door.opens_by_tap, door.opens_by_pin) == (True, True, False)
    assert door.open_url == f"/temp-keys/{KEY_UUID}/doors/1/open"
    assert door.attempt == "attempt-token"
    assert door.notices == []
    assert view.uses is None


def test_every_door_gets_an_attempt_of_its_own() -> None:
    key = make_key(make_door(1), make_door(2))
    views = [key_view(key, {7: make_lock()}, NOW, ENGLISH) for _ in range(2)]
    attempts = {door.attempt for view in views for door in view.doors}
    assert len(attempts) == 4


@pytest.mark.parametrize(
    ("key", "status", "heading", "message"),
    [
        (
            make_key(valid_from=NOW + 3 * HOUR),
            KeyStatus.NOT_YET_VALID,
            "Your key is not valid yet",
            "It works from Monday 23 November, 01:14 CET (in 3 hours).",
        ),
        (
            make_key(valid_until=NOW - HOUR),
            KeyStatus.EXPIRED,
            "Your key has expired",
            "It was valid until Sunday 22 November, 21:14 CET.",
        ),
        (
            make_key(max_uses=2, used_count=2),
            KeyStatus.USED_UP,
            "Your key is used up",
            "It has opened as often as it may.",
        ),
        (
            make_key(revoked_at=NOW - HOUR),
            KeyStatus.REVOKED,
            "Your key was revoked",
            "It was taken back on Sunday 22 November, 21:14 CET and opens nothing any more.",
        ),
    ],
)
def test_a_key_that_is_not_valid_says_why_and_has_no_button(
    key: TempKey, status: KeyStatus, heading: str, message: str
) -> None:
    view = show_key(key)
    assert (view.status, view.heading, view.message) == (status, heading, message)
    assert view.next_step
    assert not view.may_open
    page = render("temp_key.html", view=view)
    assert "<form" not in page
    # Who may not open the door need not know how its lock is.
    assert "Online" not in page


@pytest.mark.parametrize(
    ("key", "uses_left", "uses"),
    [
        (make_key(), None, None),
        (make_key(max_uses=3, used_count=1), 2, "You can use it 2 more times."),
        (make_key(max_uses=3, used_count=2), 1, "You can use it 1 more time."),
        (make_key(max_uses=3, used_count=3), 0, None),
        (make_key(max_uses=3, used_count=9), 0, None),
        (make_key(max_uses=3, revoked_at=NOW), 3, None),
    ],
)
def test_uses_left_are_told_where_they_are_limited(
    key: TempKey, uses_left: int | None, uses: str | None
) -> None:
    view = show_key(key)
    assert (view.uses_left, view.uses) == (uses_left, uses)


def test_trouble_is_told_before_the_tap_and_the_button_stays() -> None:
    view = show_key(make_key(), make_lock(online=False, battery=11.4, bolt=BoltState.JAMMED))
    (door,) = view.doors
    assert door.may_open
    assert [notice.kind for notice in door.notices] == ["offline", "jammed", "battery"]
    offline, jammed, battery = (notice.text for notice in door.notices)
    assert "35 minutes ago, on Sunday 22 November, 21:39 CET" in offline
    assert "never later" in offline
    assert "3 minutes ago" in jammed
    assert "11 %" in battery


def test_a_lock_that_never_connected_has_no_since() -> None:
    (door,) = show_key(make_key(), make_lock(online=False, since=None)).doors
    assert door.lock is not None
    assert door.lock.offline_since is None
    assert door.lock.connection == "Offline: it has not connected yet"
    assert "has not connected yet" in door.notices[0].text


def test_a_door_that_opens_by_pin_has_no_button() -> None:
    by_pin = make_door(2, label="Garage", access=AccessMethod.CODE)
    either = make_door(3, label="Gate", access=AccessMethod.BOTH)
    view = show_key(make_key(by_pin, either))
    assert [door.may_open for door in view.doors] == [False, True]
    assert [door.opens_by_pin for door in view.doors] == [True, True]
    assert [door.notices[0].title for door in view.doors] == [
        "This door opens with a PIN",
        "Or use your PIN",
    ]
    assert view.heading == "Your key to 2 doors"
    only = show_key(make_key(by_pin))
    assert not only.may_open
    assert only.message == "Enter your PIN at the panel beside the door."


def test_a_door_whose_lock_is_gone_says_so() -> None:
    view = key_view(make_key(make_door(4, 99, None)), {}, NOW, ENGLISH)
    (door,) = view.doors
    assert (door.name, door.may_open, door.lock) == ("Door 4", False, None)
    assert door.notices[0].title == "This door is not available"
    assert not view.may_open


@pytest.mark.parametrize(
    ("valid_until", "said"),
    [
        (NOW + 24 * HOUR, "It works again from Monday 23 November, 08:00 CET (in 10 hours)."),
        (NOW + HOUR, "It does not work again before it expires."),
    ],
)
def test_a_key_outside_its_hours_says_when_it_works_again(valid_until: datetime, said: str) -> None:
    daytime = ScheduleWindow(days=list(Weekday), begin="08:00", until="17:00")
    key = structs.replace(make_key(valid_until=valid_until), schedule=[daytime])
    (door,) = show_key(key).doors
    assert not door.may_open
    assert (door.notices[0].kind, door.notices[0].text) == ("hours", said)


def test_a_door_without_a_label_has_the_name_of_its_lock() -> None:
    (door,) = show_key(make_key(make_door(label=None))).doors
    assert door.name == "Lock 7"


def test_a_door_in_another_time_zone_has_a_validity_of_its_own() -> None:
    key = make_key(make_door(1, 7), make_door(2, 8), make_door(3, 9))
    london = make_lock(8, time_zone="Europe/London")
    view = show_key(key, make_lock(7), london, make_lock(9))
    rome, other, same = view.doors
    assert view.validity.time_zone == "Europe/Rome"
    assert rome.validity is None
    assert same.validity is None
    assert other.validity is not None
    assert other.validity.valid_until.text == "Monday 23 November, 10:14 GMT"
    assert view.validity.valid_until.text == "Monday 23 November, 11:14 CET"


def test_what_operators_note_about_a_key_is_not_for_its_guest() -> None:
    assert "difficult guest" not in render("temp_key.html", view=show_key(make_key()))


@given(
    start=st.integers(-100, 100),
    length=st.integers(1, 100),
    max_uses=st.none() | st.integers(1, 5),
    used=st.integers(0, 6),
    revoked=st.booleans(),
    access=st.sampled_from(AccessMethod),
    online=st.booleans(),
    known=st.booleans(),
)
def test_the_button_is_there_exactly_when_the_key_may_open_the_door(
    start: int,
    length: int,
    max_uses: int | None,
    used: int,
    revoked: bool,
    access: AccessMethod,
    online: bool,
    known: bool,
) -> None:
    key = make_key(
        make_door(access=access),
        valid_from=NOW + start * HOUR,
        valid_until=NOW + (start + length) * HOUR,
        max_uses=max_uses,
        used_count=used,
        revoked_at=NOW if revoked else None,
    )
    view = key_view(key, {7: make_lock(online=online)} if known else {}, NOW, ENGLISH)
    may_open = status_of(key, NOW) is KeyStatus.VALID and known and access is not AccessMethod.CODE
    assert view.may_open is may_open
    assert ("<button" in render("temp_key.html", view=view)) is may_open
    assert view.status is KeyStatus.VALID or view.next_step


# The confirmation page: one sentence per state


@pytest.mark.parametrize(
    ("command", "lock", "outcome", "heading", "message"),
    [
        (
            make_command(CommandState.QUEUED),
            make_lock(),
            Outcome.SENDING,
            "Sending",
            "The open command is on its way to the lock.",
        ),
        (
            make_command(CommandState.QUEUED, offline=True),
            make_lock(online=False),
            Outcome.WAITING,
            "Waiting for the lock",
            "The lock is offline. Your open command waits for it, for a few seconds only.",
        ),
        (
            # only the session that has it in hand could say that it was not sent
            make_command(CommandState.QUEUED, session_id="s"),
            make_lock(online=False),
            Outcome.SENDING,
            "Sending",
            "The open command is on its way to the lock.",
        ),
        (
            make_command(CommandState.SENT),
            make_lock(),
            Outcome.SENT,
            "Sent to the lock",
            "The open command was sent. The lock has not answered yet.",
        ),
        (
            make_command(CommandState.ACCEPTED),
            make_lock(),
            Outcome.ACCEPTED,
            "The lock has it",
            "The lock got the open command and is drawing its bolt.",
        ),
        (
            make_command(CommandState.OPENED),
            make_lock(),
            Outcome.OPENED,
            "The door is open",
            "Push it now.",
        ),
        (
            make_command(CommandState.EXPIRED),
            make_lock(),
            Outcome.EXPIRED,
            "The door did not open",
            "The open command could not be delivered in time. Nothing was sent late; it will not "
            "open later.",
        ),
        (
            make_command(CommandState.EXPIRED, offline=True),
            make_lock(online=False),
            Outcome.OFFLINE,
            "The lock was offline",
            "It did not come back in time. Nothing was sent late; it will not open later.",
        ),
        (
            make_command(CommandState.UNCONFIRMED),
            make_lock(),
            Outcome.UNCONFIRMED,
            "No answer from the lock",
            "It has not said whether it opened. Try the handle.",
        ),
    ],
)
def test_every_state_has_its_sentence(
    command: OpenCommand, lock: Lock, outcome: Outcome, heading: str, message: str
) -> None:
    view = confirm(command, lock=lock)
    assert (view.outcome, view.heading, view.message) == (outcome, heading, message)
    assert view.next_step


@pytest.mark.parametrize(
    ("state", "reason", "outcome", "heading"),
    [
        (CommandState.REFUSED, "busy", Outcome.BUSY, "Somebody else is opening this door"),
        (CommandState.REFUSED, "expired", Outcome.REFUSED, "The command came too late"),
        (CommandState.REFUSED, "stale", Outcome.REFUSED, "The lock has just reconnected"),
        (CommandState.REFUSED, "clock", Outcome.REFUSED, "The lock is setting its clock"),
        (CommandState.REFUSED, "jammed", Outcome.REFUSED, "The bolt is jammed"),
        (CommandState.REFUSED, None, Outcome.REFUSED, "The lock refused"),
        (CommandState.REFUSED, "childLock", Outcome.REFUSED, "The lock refused"),
        (CommandState.FAILED, "jammed", Outcome.FAILED, "The bolt is jammed"),
        (CommandState.FAILED, None, Outcome.FAILED, "The lock could not open"),
        (CommandState.FAILED, "motor", Outcome.FAILED, "The lock could not open"),
    ],
)
def test_every_refusal_and_failure_has_its_sentence(
    state: CommandState, reason: str | None, outcome: Outcome, heading: str
) -> None:
    view = confirm(make_command(state, reason))
    assert (view.outcome, view.heading) == (outcome, heading)
    assert view.final


@pytest.mark.parametrize("reason", [RefusalReason.EXPIRED, RefusalReason.STALE])
def test_what_was_refused_as_late_will_not_open_later(reason: RefusalReason) -> None:
    assert LATER in said(confirm(make_command(CommandState.REFUSED, reason))).lower()


def test_a_word_that_only_the_lock_knows_is_shown_as_its_own() -> None:
    assert confirm(make_command(CommandState.REFUSED, "childLock")).lock_said == "childLock"
    assert confirm(make_command(CommandState.FAILED, "motor")).lock_said == "motor"
    assert confirm(make_command(CommandState.REFUSED, "clock")).lock_said is None
    assert confirm(make_command(CommandState.OPENED, "odd")).lock_said is None


def test_open_is_said_only_while_the_door_can_be_pushed() -> None:
    opened = make_command(CommandState.OPENED, age=HOUR)
    view = confirm(opened)
    assert view.outcome is Outcome.OPENED_EARLIER
    assert view.heading == "The door was opened"
    assert view.message == "The lock opened it on Sunday 22 November, 21:14 CET."


def test_an_opening_reported_late_is_not_shown_as_open_now() -> None:
    late = structs.replace(
        make_command(CommandState.OPENED, age=HOUR),
        history=[Step(state=CommandState.OPENED, at=NOW)],
    )
    assert confirm(late).outcome is Outcome.OPENED_EARLIER


def test_a_long_open_time_keeps_the_door_open_on_the_page() -> None:
    opened = make_command(CommandState.OPENED, age=40 * SECOND)
    assert confirm(opened, lock=make_lock(open_for_seconds=60)).outcome is Outcome.OPENED
    assert confirm(opened, lock=make_lock(open_for_seconds=5)).outcome is Outcome.OPENED_EARLIER


@pytest.mark.parametrize(
    "state", [CommandState.QUEUED, CommandState.SENT, CommandState.ACCEPTED], ids=str
)
def test_no_page_waits_for_ever(state: CommandState) -> None:
    view = confirm(make_command(state, age=timedelta(minutes=1)))
    assert view.outcome is Outcome.UNCONFIRMED
    assert view.final


# The confirmation page: offline


def test_without_a_command_the_page_says_that_one_was_sent() -> None:
    view = confirm(None)
    assert view.outcome is Outcome.UNKNOWN
    assert view.heading == "Open command sent"
    assert view.message.startswith("An open command was sent to the lock.")
    assert view.final
    assert (view.reference, view.requested_at, view.stream_url) == (None, None, None)
    assert view.page_url == f"/temp-keys/{KEY_UUID}/confirmation?door=1&offline=false"


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        (None, Outcome.OFFLINE),
        (make_command(CommandState.QUEUED), Outcome.WAITING),
        (make_command(CommandState.EXPIRED), Outcome.OFFLINE),
    ],
)
def test_said_offline_is_said_on_the_page(command: OpenCommand | None, outcome: Outcome) -> None:
    view = confirm(command, lock=make_lock(online=False), said_offline=True)
    assert view.outcome is outcome
    assert view.offline_note == "The device was offline when the command was sent."
    assert view.offline_meaning
    assert LATER in said(view)


@pytest.mark.parametrize(
    "state",
    [CommandState.ACCEPTED, CommandState.OPENED, CommandState.REFUSED, CommandState.FAILED],
    ids=str,
)
def test_a_lock_that_answered_was_reached_whatever_the_link_says(state: CommandState) -> None:
    with_flag = confirm(make_command(state, offline=True), said_offline=True)
    assert with_flag.offline_note is None
    assert with_flag.heading == confirm(make_command(state)).heading


def test_a_command_sent_after_the_lock_came_back_says_so() -> None:
    view = confirm(make_command(CommandState.SENT, offline=True))
    assert view.outcome is Outcome.SENT
    assert view.offline_meaning == "It has come back since, and the command has been sent to it."


def test_the_record_counts_where_the_link_says_nothing() -> None:
    view = confirm(make_command(CommandState.EXPIRED, offline=True), said_offline=False)
    assert view.outcome is Outcome.OFFLINE
    assert view.offline_note is not None


# The confirmation page: the rest of what it shows


def test_the_confirmation_shows_what_there_is_to_know() -> None:
    lock = make_lock(online=False, battery=12, bolt=BoltState.UNLOCKED, door=DoorState.OPEN)
    view = confirm(make_command(CommandState.SENT), lock=lock, said_offline=True)
    assert view.door_name == "Front door"
    assert view.reference == "9f3ac1d2"
    assert view.requested_at is not None
    assert view.requested_at.text == "Sunday 22 November, 22:14:01 CET"
    assert view.key_url == f"/temp-keys/{KEY_UUID}"
    query = "door=1&offline=true&command=9f3ac1d27be84f60a1b2c3d4e5f60718"
    assert view.page_url == f"/temp-keys/{KEY_UUID}/confirmation?{query}"
    assert view.stream_url == f"/temp-keys/{KEY_UUID}/confirmation/stream?{query}"
    assert view.lock is not None
    assert view.lock.name == "Lock 7"
    assert view.lock.connection == "Offline since Sunday 22 November, 21:39 CET (35 minutes ago)"
    assert (view.lock.battery, view.lock.battery_low) == ("Low: 12 %", True)
    assert (view.lock.bolt, view.lock.door) == ("Unlocked", "Open")


def test_a_lock_that_never_reported_has_no_readings() -> None:
    view = lock_view(structs.replace(make_lock(), telemetry=None), NOW, ENGLISH)
    assert (view.battery, view.battery_low, view.bolt, view.door) == (None, False, None, None)
    assert not view.jammed
    assert view.reported is None


@pytest.mark.parametrize(
    ("state", "max_uses", "noted"),
    [
        (CommandState.EXPIRED, 3, True),
        (CommandState.REFUSED, 3, True),
        (CommandState.EXPIRED, None, False),
        (CommandState.UNCONFIRMED, 3, False),
        (CommandState.FAILED, 3, False),
        (CommandState.OPENED, 3, False),
    ],
)
def test_a_use_that_is_given_back_is_told(
    state: CommandState, max_uses: int | None, noted: bool
) -> None:
    view = confirm(make_command(state), key=make_key(max_uses=max_uses))
    assert (view.use_note is not None) is noted


@given(
    state=st.none() | st.sampled_from(CommandState),
    reason=st.sampled_from(REASONS),
    offline=st.booleans(),
    said_offline=st.booleans(),
    online=st.booleans(),
    known=st.booleans(),
    in_hand=st.booleans(),
    age=st.integers(0, 200),
)
def test_only_the_record_of_an_opening_makes_a_page_say_open(
    state: CommandState | None,
    reason: str | None,
    offline: bool,
    said_offline: bool,
    online: bool,
    known: bool,
    in_hand: bool,
    age: int,
) -> None:
    command = None
    if state is not None:
        session = "s" if in_hand else None
        command = make_command(state, reason, offline=offline, age=age * SECOND, session_id=session)
    key = make_key(make_door(label=None), max_uses=2)
    lock = make_lock(online=online) if known else None
    view = confirmation_view(key, key.doors[0], lock, command, said_offline, NOW, ENGLISH)
    words = said(view).lower()
    opened = state is CommandState.OPENED
    says_open = re.search(r"\bis open\b|was opened|push it now", words) is not None
    assert says_open is opened
    assert (view.outcome in (Outcome.OPENED, Outcome.OPENED_EARLIER)) is opened
    # nothing is left unfilled, nothing unsaid
    assert "{" not in words
    assert view.heading
    assert view.message
    assert view.next_step
    # a state that tells the outcome is final, and whatever is final stays what it is
    assert view.final or (state is not None and state not in SHOWN_AS_FINAL)
    if state in SHOWN_AS_FINAL:
        assert view.final
    # "Nothing was sent" is said only where the record proves it
    if "nothing was sent late" in words:
        assert state is CommandState.EXPIRED
    page = render("confirmation.html", view=view)
    assert ("http-equiv" in page) is not view.final
    assert f'data-final="{"true" if view.final else "false"}"' in page
    assert f'data-state="{view.outcome}"' in page


# The templates


def test_the_fragment_of_the_stream_is_the_one_of_the_page() -> None:
    view = confirm(make_command(CommandState.ACCEPTED))
    fragment = render("_confirmation_status.html", view=view)
    page = render("confirmation.html", view=view)
    assert fragment.strip() in page
    assert 'role="status"' in fragment
    assert 'aria-live="polite"' in fragment
    assert unescape(fragment).count(view.stream_url or "-") == 1


NASTY = '"><script>alert(1)</script>{{ 1 }}'


def test_names_are_escaped() -> None:
    key = make_key(make_door(label=NASTY))
    lock = structs.replace(make_lock(), name=NASTY)
    pages = [
        render("temp_key.html", view=show_key(key, lock)),
        render(
            "confirmation.html",
            view=confirm(make_command(CommandState.REFUSED, NASTY), key=key, lock=lock),
        ),
        render("error.html", status=400, title=NASTY, message=NASTY, next_step="", key_url=NASTY),
    ]
    for page in pages:
        assert "<script>alert" not in page
        assert "&quot;&gt;&lt;script&gt;" in page


def every_page() -> Mapping[str, str]:
    commands = [
        None,
        *(make_command(state, reason) for state in CommandState for reason in REASONS),
    ]
    pages = {
        f"confirmation {command.state if command else None} {command and command.reason}": render(
            "confirmation.html", view=confirm(command, said_offline=said_offline)
        )
        for command in commands
        for said_offline in (False, True)
    }
    pages["key"] = render("temp_key.html", view=show_key(make_key()))
    pages["expired"] = render("temp_key.html", view=show_key(make_key(valid_until=NOW)))
    pages["error"] = render(
        "error.html",
        status=404,
        title="Key not found",
        message="There is no key at this link.",
        next_step="Ask for it again.",
        key_url=None,
    )
    return pages


def test_no_page_has_anything_inline_or_from_elsewhere() -> None:
    for name, page in every_page().items():
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:|https?://|//\w", page), name
        assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page)), name
        assert page.count("<h1>") == 1, name
        assert '<html lang="en" dir="ltr">' in page, name
        assert 'name="robots" content="noindex' in page, name


def test_error_page_says_what_next() -> None:
    page = render(
        "error.html",
        status=400,
        title="Your key has expired",
        message="Its time is over.",
        next_step="Ask for a new one.",
        key_url="/temp-keys/abc",
    )
    assert "Your key has expired Its time is over. What next Ask for a new one." in words_of(page)
    assert 'href="/temp-keys/abc"' in page


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound,
        errors.TempKeyNotFound,
        errors.DoorNotFound,
        errors.InvalidInput,
        errors.Unauthenticated,
        errors.Forbidden,
        refusals.GuestNotAllowed,
        refusals.KeyRevoked,
        refusals.KeyNotYetValid,
        refusals.KeyExpired,
        refusals.KeyUsedUp,
        refusals.DoorNeedsCode,
        errors.StorageUnavailable,
    ],
)
def test_every_error_a_guest_may_meet_has_words_of_its_own(
    error: type[errors.LatchkeyError],
) -> None:
    words = error_words(error.reason, ENGLISH)
    assert words.title != error_words("unheard_of", ENGLISH).title
    assert words.message
    assert words.next_step


def test_an_unheard_of_error_has_words_too() -> None:
    words = error_words("unheard_of", ENGLISH)
    assert (words.title, words.message) == ("Something went wrong", "It is our fault, not yours.")


ASSETS = ("latchkey.css", "latchkey.js", "favicon.svg")


def test_the_guest_flow_fits_into_14_kilobytes() -> None:
    assets = [(ROOT / "static" / name).read_bytes() for name in ASSETS]
    pages = every_page()
    largest = max((pages[name] for name in pages if name.startswith("confirmation")), key=len)
    parts = [*assets, pages["key"].encode(), largest.encode()]
    assert sum(len(gzip.compress(part, 6)) for part in parts) <= 14 * 1024
