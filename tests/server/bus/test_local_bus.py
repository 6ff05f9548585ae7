"""The bus of a single process: who takes a lock's commands, and who hears of them."""

import asyncio
from datetime import UTC, datetime

import pytest
from msgspec import structs

from server.bus.local_bus import LocalBus
from server.domain.commands import CommandState, OpenCommand
from server.domain.errors import LockOffline, StorageUnavailable

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
COMMAND = OpenCommand(id="c1", org_id="org", lock_id=17, requested_at=NOW, expires_at=NOW)
SENT = structs.replace(COMMAND, state=CommandState.SENT)
WITHIN_S = 20


class Session:
    """Takes commands, as a lock's session does."""

    def __init__(self) -> None:
        self.taken: list[OpenCommand] = []

    async def open(self, command: OpenCommand) -> OpenCommand:
        self.taken.append(command)
        return structs.replace(command, state=CommandState.SENT)


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()


# Commands


async def test_a_command_to_a_lock_that_nobody_serves_finds_it_offline(bus: LocalBus):
    with pytest.raises(LockOffline):
        await bus.request_open(COMMAND)


async def test_a_command_is_taken_by_the_session_of_its_lock(bus: LocalBus):
    session, other = Session(), Session()
    await bus.serve_lock(17, session.open)
    await bus.serve_lock(18, other.open)
    assert await bus.request_open(COMMAND) == SENT
    assert (session.taken, other.taken) == ([COMMAND], [])


async def test_a_new_session_takes_the_place_of_the_old_one(bus: LocalBus):
    old, new = Session(), Session()
    await bus.serve_lock(17, old.open)
    await bus.serve_lock(17, new.open)
    await bus.request_open(COMMAND)
    assert (old.taken, new.taken) == ([], [COMMAND])


async def test_a_lock_that_was_released_is_offline(bus: LocalBus):
    session = Session()
    await bus.serve_lock(17, session.open)
    await bus.release_lock(17, session.open)
    with pytest.raises(LockOffline):
        await bus.request_open(COMMAND)


async def test_the_late_release_of_an_old_session_changes_nothing(bus: LocalBus):
    old, new = Session(), Session()
    await bus.serve_lock(17, old.open)
    await bus.serve_lock(17, new.open)
    await bus.release_lock(17, old.open)
    await bus.request_open(COMMAND)
    assert new.taken == [COMMAND]


async def test_releasing_a_lock_that_nobody_serves_does_nothing(bus: LocalBus):
    await bus.release_lock(17, Session().open)


async def test_what_the_session_could_not_do_reaches_whoever_asked(bus: LocalBus):
    async def cannot(command: OpenCommand) -> OpenCommand:
        raise StorageUnavailable

    await bus.serve_lock(17, cannot)
    with pytest.raises(StorageUnavailable):
        await bus.request_open(COMMAND)


# News


async def test_a_watcher_hears_of_each_change_in_order(bus: LocalBus):
    with bus.watch("c1") as changes:
        bus.announce(COMMAND)
        bus.announce(SENT)
        assert await changes.wait(WITHIN_S) == COMMAND
        assert await changes.wait(WITHIN_S) == SENT


async def test_a_watcher_that_waits_already_is_woken(bus: LocalBus):
    with bus.watch("c1") as changes:
        waiting = asyncio.create_task(changes.wait(WITHIN_S))
        await asyncio.sleep(0)
        bus.announce(SENT)
        assert await waiting == SENT


async def test_a_watcher_is_told_when_nothing_comes_in_time(bus: LocalBus):
    with bus.watch("c1") as changes:
        assert await changes.wait(0.01) is None


async def test_a_change_that_comes_after_a_wait_in_vain_is_not_lost(bus: LocalBus):
    with bus.watch("c1") as changes:
        assert await changes.wait(0) is None
        bus.announce(SENT)
        assert await changes.wait(WITHIN_S) == SENT


async def test_every_watcher_of_a_command_hears_of_it(bus: LocalBus):
    with bus.watch("c1") as one, bus.watch("c1") as other:
        bus.announce(SENT)
        assert await one.wait(WITHIN_S) == SENT
        assert await other.wait(WITHIN_S) == SENT


async def test_a_watcher_does_not_hear_of_other_commands(bus: LocalBus):
    with bus.watch("c2") as changes:
        bus.announce(SENT)
        assert await changes.wait(0) is None


async def test_what_was_announced_before_is_not_heard(bus: LocalBus):
    bus.announce(COMMAND)
    with bus.watch("c1") as changes:
        assert await changes.wait(0) is None


async def test_whoever_stops_watching_hears_no_more(bus: LocalBus):
    with bus.watch("c1") as gone:
        pass
    with bus.watch("c1") as staying:
        bus.announce(SENT)
        assert await gone.wait(0) is None
        assert await staying.wait(WITHIN_S) == SENT


async def test_a_watcher_that_never_reads_keeps_the_newest_changes_only(bus: LocalBus):
    with bus.watch("c1") as changes:
        for number in range(100):
            bus.announce(structs.replace(COMMAND, reason=str(number)))
        kept = [await changes.wait(0) for _ in range(17)]
    assert [change.reason for change in kept if change is not None] == [
        str(number) for number in range(84, 100)
    ]
    assert kept[-1] is None
