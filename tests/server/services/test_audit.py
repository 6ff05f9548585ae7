"""The audit trail of what locks do by themselves: every event once, also after a crash."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.domain.commands import CommandState, OpenCommand, Step
from server.domain.locks import Connection, Lock, OfflineReason
from server.domain.protocol import Event, LockEvent, Telemetry
from server.domain.telemetry import StoredReport
from server.services.audit import AuditTrail
from server.storage.command_store import CommandStore
from server.storage.event_log import EventLog
from server.storage.event_store import EventStore
from server.storage.lock_state_store import LockStateStore
from server.storage.lock_store import LockStore
from server.storage.mark_store import MarkStore
from server.storage.mongo import Database
from server.storage.presence_store import PresenceStore
from server.storage.report_store import ReportStore

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture
def locks(database: Database) -> LockStore:
    return LockStore(database)


@pytest.fixture
def presence(database: Database) -> PresenceStore:
    return PresenceStore(database)


@pytest.fixture
def commands(database: Database) -> CommandStore:
    return CommandStore(database)


@pytest.fixture
def reports(database: Database) -> ReportStore:
    return ReportStore(database)


@pytest.fixture
def audit(database: Database) -> AuditTrail:
    return trail(database)


def trail(database: Database) -> AuditTrail:
    return AuditTrail(
        EventStore(database),
        EventLog(database),
        LockStateStore(database),
        CommandStore(database),
        ReportStore(database),
        MarkStore(database),
    )


async def told(database: Database, lock_id: int = 17) -> list[tuple[str, dict[str, Any]]]:
    """The events of a lock, without what every event says."""
    events = await EventLog(database).list_of_lock(lock_id, "org", 0, 1000)
    about = ("lockId", "uuid")
    return [
        (event.type, {name: value for name, value in event.data.items() if name not in about})
        for event in events
    ]


async def a_lock(locks: LockStore, lock_id: int = 17) -> Lock:
    lock = Lock(id=lock_id, uuid=f"uuid-{lock_id}", org_id="org", name="Door", created_at=NOW)
    await locks.insert(lock)
    return lock


def session(name: str, node_id: str = "node") -> Connection:
    return Connection(online=True, since=NOW, session_id=name, node_id=node_id)


# Presence


async def test_a_lock_that_came_and_went_is_told_in_that_order(
    audit: AuditTrail, locks: LockStore, presence: PresenceStore, database: Database
):
    lock = await a_lock(locks)
    await presence.attach(lock, session("s1"))
    await presence.detach(17, "s1", OfflineReason.TIMEOUT, NOW, LATER)
    await audit.catch_up()
    assert await told(database) == [
        ("LockOnline", {"timestamp": "2026-11-23T08:00:00.000Z"}),
        ("LockOffline", {"timestamp": "2026-11-23T08:01:00.000Z", "reason": "timeout"}),
    ]


async def test_nothing_is_told_twice(
    audit: AuditTrail, locks: LockStore, presence: PresenceStore, database: Database
):
    lock = await a_lock(locks)
    await presence.attach(lock, session("s1"))
    for _ in range(3):
        await audit.catch_up()
    assert len(await told(database)) == 1


async def test_the_late_goodbye_of_an_old_session_is_not_told(
    audit: AuditTrail, locks: LockStore, presence: PresenceStore, database: Database
):
    lock = await a_lock(locks)
    await presence.attach(lock, session("old"))
    await presence.attach(lock, session("new"))
    await presence.detach(17, "old", OfflineReason.CLOSED, NOW, LATER)
    await audit.catch_up()
    assert [name for name, _ in await told(database)] == ["LockOnline", "LockOnline"]


async def test_locks_of_a_lost_node_are_told_offline_and_back(
    audit: AuditTrail, locks: LockStore, presence: PresenceStore, database: Database
):
    lock = await a_lock(locks)
    await presence.attach(lock, session("s1", "lost"))
    await presence.detach_lost(["lost"], LATER)
    await presence.reattach(["s1"], LATER)
    await audit.catch_up()
    events = await told(database)
    assert [name for name, _ in events] == ["LockOnline", "LockOffline", "LockOnline"]
    assert events[1][1]["reason"] == "serverLost"


async def test_a_lock_that_flaps_is_told_every_time(
    audit: AuditTrail, locks: LockStore, presence: PresenceStore, database: Database
):
    lock = await a_lock(locks)
    for number in range(30):
        await presence.attach(lock, session(f"s{number}"))
        await presence.detach(17, f"s{number}", OfflineReason.CLOSED, NOW, LATER)
    await audit.catch_up()
    assert [name for name, _ in await told(database)] == ["LockOnline", "LockOffline"] * 30


# Openings


def command_with(command_id: str = "c1", **fields: Any) -> OpenCommand:
    return OpenCommand(
        id=command_id,
        org_id="org",
        lock_id=17,
        requested_at=NOW,
        expires_at=LATER,
        history=[Step(state=CommandState.QUEUED, at=NOW)],
        **fields,
    )


@pytest.mark.parametrize(
    ("state", "reason", "event", "fields"),
    [
        (CommandState.OPENED, None, "LockOpened", {}),
        (CommandState.FAILED, "jammed", "LockOpenFailed", {"reason": "jammed"}),
        (CommandState.REFUSED, "busy", "LockOpenFailed", {"reason": "busy"}),
        (CommandState.REFUSED, None, "LockOpenFailed", {"reason": "refused"}),
        (CommandState.UNCONFIRMED, None, "LockOpenFailed", {"reason": "unconfirmed"}),
        (CommandState.EXPIRED, None, "LockOpenExpired", {}),
    ],
)
async def test_what_became_of_an_opening_is_told(
    audit: AuditTrail,
    locks: LockStore,
    commands: CommandStore,
    database: Database,
    state: CommandState,
    reason: str | None,
    event: str,
    fields: dict[str, Any],
):
    await a_lock(locks)
    await commands.insert(command_with())
    await commands.advance("c1", state, LATER, reason)
    await audit.catch_up()
    at = "2026-11-23T08:01:00.000Z"
    assert await told(database) == [(event, {"timestamp": at, "commandId": "c1", **fields})]


async def test_a_guests_opening_is_told_with_its_key(
    audit: AuditTrail, locks: LockStore, commands: CommandStore, database: Database
):
    await a_lock(locks)
    await commands.insert(command_with(temp_key_uuid="key", door_id=1))
    await commands.advance("c1", CommandState.OPENED, LATER)
    await audit.catch_up()
    [(asked, request), (opened, outcome)] = await told(database)
    assert (asked, request["requestId"]) == ("LockOpenRequested", "c1")
    assert (opened, outcome["tempKeyUuid"]) == ("LockOpened", "key")


async def test_a_late_report_is_told_after_the_silence(
    audit: AuditTrail, locks: LockStore, commands: CommandStore, database: Database
):
    await a_lock(locks)
    await commands.insert(command_with())
    await commands.advance("c1", CommandState.UNCONFIRMED, LATER)
    await audit.catch_up()
    await commands.advance("c1", CommandState.OPENED, LATER)
    await audit.catch_up()
    assert [name for name, _ in await told(database)] == ["LockOpenFailed", "LockOpened"]


async def test_a_step_between_the_look_and_the_mark_is_not_lost(
    audit: AuditTrail, locks: LockStore, commands: CommandStore, database: Database
):
    await a_lock(locks)
    await commands.insert(command_with())
    looked_at = await commands.untold(10)
    await commands.advance("c1", CommandState.OPENED, LATER)
    await commands.told(looked_at)
    await audit.catch_up()
    assert [name for name, _ in await told(database)] == ["LockOpened"]


# Alarms


def stored(seq: int, report: LockEvent | None, at: datetime = NOW) -> StoredReport:
    said = (
        Telemetry(seq=seq, at=at, battery=50)
        if report is None
        else Event(seq=seq, at=at, event=report)
    )
    return StoredReport(lock_id=17, org_id="org", epoch="e", received_at=LATER, report=said)


async def test_alarms_are_told_and_nothing_else(
    audit: AuditTrail, locks: LockStore, reports: ReportStore, database: Database
):
    await a_lock(locks)
    said = [None, *LockEvent]
    await reports.store([stored(seq, report) for seq, report in enumerate(said, start=1)])
    await audit.catch_up()
    assert sorted(name for name, _ in await told(database)) == [
        "DoorLeftOpen",
        "LockBatteryLow",
        "LockJammed",
        "LockTampered",
    ]


async def test_a_report_that_is_sent_again_is_told_once(
    audit: AuditTrail, locks: LockStore, reports: ReportStore, database: Database
):
    await a_lock(locks)
    for _ in range(3):
        await reports.store([stored(1, LockEvent.TAMPERED)])
        await audit.catch_up()
    assert [name for name, _ in await told(database)] == ["LockTampered"]


async def test_an_alarm_of_a_clock_that_is_ahead_happened_when_it_came_in(
    audit: AuditTrail, locks: LockStore, reports: ReportStore, database: Database
):
    await a_lock(locks)
    await reports.store([stored(1, LockEvent.JAMMED, LATER + timedelta(days=400))])
    await audit.catch_up()
    assert await told(database) == [("LockJammed", {"timestamp": "2026-11-23T08:01:00.000Z"})]


# Crashes and other nodes


async def test_what_was_recorded_but_not_marked_is_not_told_again(
    audit: AuditTrail,
    locks: LockStore,
    presence: PresenceStore,
    commands: CommandStore,
    database: Database,
):
    lock = await a_lock(locks)
    await presence.attach(lock, session("s1"))
    await commands.insert(command_with())
    await commands.advance("c1", CommandState.OPENED, LATER)
    [(_, untold)] = await LockStateStore(database).untold_presence(10)
    await audit.catch_up()
    # As it stands when the server was killed before it noted what it had told:
    await database["commands"].update_one({"_id": "c1"}, {"$set": {"untold": True}})
    changes = [{"id": change.id, "online": True, "at": NOW} for change in untold]
    await database["locks"].update_one({"_id": 17}, {"$set": {"presenceChanges": changes}})
    await audit.catch_up()
    assert [name for name, _ in await told(database)] == ["LockOnline", "LockOpened"]
    assert await LockStateStore(database).untold_presence(10) == []


async def test_many_nodes_at_once_tell_everything_once(
    locks: LockStore,
    presence: PresenceStore,
    commands: CommandStore,
    reports: ReportStore,
    database: Database,
):
    for lock_id in range(1, 6):
        lock = await a_lock(locks, lock_id)
        await presence.attach(lock, session(f"s{lock_id}"))
    await a_lock(locks)
    for number in range(10):
        await commands.insert(command_with(f"c{number}"))
        await commands.advance(f"c{number}", CommandState.OPENED, LATER)
    await reports.store([stored(seq, LockEvent.TAMPERED) for seq in range(1, 11)])
    nodes = [trail(database) for _ in range(3)]

    async def catch_up(node: AuditTrail) -> None:
        running = asyncio.create_task(node.run_forever())
        await asyncio.sleep(2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    await asyncio.gather(*(catch_up(node) for node in nodes))
    names = [name for name, _ in await told(database)]
    assert sorted(names) == ["LockOpened"] * 10 + ["LockTampered"] * 10
    for lock_id in range(1, 6):
        assert [name for name, _ in await told(database, lock_id)] == ["LockOnline"]
    listed = await EventLog(database).list_in_order(0, 100)
    assert [event.position for event in listed] == list(range(1, 26))
