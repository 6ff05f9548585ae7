"""Open commands in a real MongoDB: every step is compare-and-set; of two that race, one wins."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import msgspec
import pytest

from server.domain.commands import CommandState, OpenCommand, Step, predecessors
from server.domain.errors import CommandNotFound
from server.storage.command_store import CommandStore
from server.storage.mongo import Database

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
EXPIRY = NOW + timedelta(seconds=8)
TICK = timedelta(milliseconds=1)


@pytest.fixture
def commands(database: Database) -> CommandStore:
    return CommandStore(database)


def command_with(command_id: str = "c1", **fields: Any) -> OpenCommand:
    command = OpenCommand(
        id=command_id,
        org_id="org",
        lock_id=17,
        requested_at=NOW,
        expires_at=EXPIRY,
        temp_key_uuid="key",
        door_id=1,
        history=[Step(state=CommandState.QUEUED, at=NOW)],
    )
    return msgspec.structs.replace(command, **fields)


async def test_a_command_is_found_as_it_was_stored(commands: CommandStore):
    command = command_with(offline=True)
    assert await commands.insert(command)
    assert await commands.find("c1") == command


async def test_of_many_commands_those_are_found_that_there_are(commands: CommandStore):
    there = [command_with("c1"), command_with("c2", offline=True)]
    for command in there:
        await commands.insert(command)
    assert await commands.find_all(["c1", "c2", "c3"]) == {one.id: one for one in there}
    assert await commands.find_all([]) == {}


async def test_a_command_that_was_never_made_is_not_found(commands: CommandStore):
    with pytest.raises(CommandNotFound):
        await commands.find("c1")


async def test_a_second_command_with_the_same_id_changes_nothing(commands: CommandStore):
    await commands.insert(command_with())
    assert not await commands.insert(command_with(offline=True))
    assert await commands.find("c1") == command_with()


async def test_of_many_that_insert_the_same_command_at_once_one_does(commands: CommandStore):
    done = await asyncio.gather(*(commands.insert(command_with()) for _ in range(20)))
    assert done.count(True) == 1


# Steps


async def test_every_step_is_taken_or_refused_as_the_state_machine_says(commands: CommandStore):
    for before, after in product(CommandState, CommandState):
        name = f"{before}-{after}"
        await commands.insert(command_with(name, state=before))
        stepped = await commands.advance(name, after, NOW + TICK, "why")
        if before in predecessors(after):
            assert stepped is not None, name
            assert (stepped.state, stepped.reason) == (after, "why")
            assert stepped.history[1:] == [Step(state=after, at=NOW + TICK)]
        else:
            assert stepped is None, name
            assert await commands.find(name) == command_with(name, state=before)


async def test_a_step_without_a_reason_keeps_the_earlier_one(commands: CommandStore):
    await commands.insert(command_with(state=CommandState.UNCONFIRMED, reason="slow"))
    stepped = await commands.advance("c1", CommandState.OPENED, NOW)
    assert stepped is not None
    assert stepped.reason == "slow"


async def test_a_command_that_does_not_exist_takes_no_step(commands: CommandStore):
    assert await commands.advance("c1", CommandState.SENT, NOW) is None


async def test_of_two_outcomes_at_once_one_stands(commands: CommandStore):
    outcomes = [CommandState.OPENED, CommandState.REFUSED, CommandState.FAILED]
    for number in range(10):
        name = f"c{number}"
        await commands.insert(command_with(name, state=CommandState.ACCEPTED))
        steps = await asyncio.gather(*(commands.advance(name, state, NOW) for state in outcomes))
        [won] = [step for step in steps if step is not None]
        assert await commands.find(name) == won


async def test_an_opening_beats_a_time_out_whichever_comes_first(commands: CommandStore):
    for number in range(10):
        name = f"c{number}"
        await commands.insert(command_with(name, state=CommandState.SENT))
        await asyncio.gather(
            commands.advance(name, CommandState.UNCONFIRMED, NOW),
            commands.advance(name, CommandState.OPENED, NOW),
        )
        assert (await commands.find(name)).state is CommandState.OPENED


# Taking a command in hand


async def test_a_session_takes_a_stored_command_in_hand(commands: CommandStore):
    await commands.insert(command_with(offline=True))
    assert await commands.hand_to_session(command_with(offline=True), "s1")
    assert await commands.find("c1") == command_with(offline=True, session_id="s1")


async def test_a_command_that_is_not_stored_yet_is_stored_when_it_is_taken(commands: CommandStore):
    assert await commands.hand_to_session(command_with(), "s1")
    assert await commands.find("c1") == command_with(session_id="s1")


async def test_a_session_takes_a_command_only_once(commands: CommandStore):
    assert await commands.hand_to_session(command_with(), "s1")
    assert not await commands.hand_to_session(command_with(), "s1")


@pytest.mark.parametrize("stored_before", [True, False])
async def test_of_many_sessions_at_once_one_takes_the_command(
    commands: CommandStore, stored_before: bool
):
    for number in range(5):
        command = command_with(f"c{number}")
        if stored_before:
            await commands.insert(command)
        taken = await asyncio.gather(
            *(commands.hand_to_session(command, f"s{session}") for session in range(20))
        )
        assert taken.count(True) == 1
        stored = await commands.find(command.id)
        assert stored.session_id == f"s{taken.index(True)}"


@pytest.mark.parametrize("state", [state for state in CommandState if state != "queued"])
async def test_a_command_that_is_not_queued_any_more_is_not_taken(
    commands: CommandStore, state: CommandState
):
    await commands.insert(command_with(state=state))
    assert not await commands.hand_to_session(command_with(), "s1")
    assert await commands.find("c1") == command_with(state=state)


# Ending what was never sent


async def test_a_command_that_nobody_took_can_expire(commands: CommandStore):
    await commands.insert(command_with())
    expired = await commands.end_unsent("c1", CommandState.EXPIRED, EXPIRY)
    assert expired is not None
    assert expired.state is CommandState.EXPIRED
    assert expired.history[-1] == Step(state=CommandState.EXPIRED, at=EXPIRY)


async def test_a_command_that_nobody_took_can_be_refused_for_a_reason(commands: CommandStore):
    await commands.insert(command_with())
    refused = await commands.end_unsent("c1", CommandState.REFUSED, NOW, "busy")
    assert refused is not None
    assert (refused.state, refused.reason) == (CommandState.REFUSED, "busy")


async def test_a_command_that_a_session_has_in_hand_does_not_expire(commands: CommandStore):
    await commands.hand_to_session(command_with(), "s1")
    assert await commands.end_unsent("c1", CommandState.EXPIRED, EXPIRY) is None
    assert (await commands.find("c1")).state is CommandState.QUEUED


@pytest.mark.parametrize("state", [state for state in CommandState if state != "queued"])
async def test_a_command_that_is_under_way_or_settled_does_not_expire(
    commands: CommandStore, state: CommandState
):
    await commands.insert(command_with(state=state))
    assert await commands.end_unsent("c1", CommandState.EXPIRED, EXPIRY) is None


async def test_of_expiring_and_sending_at_once_exactly_one_happens(commands: CommandStore):
    for number in range(60):
        command = command_with(f"c{number}")
        await commands.insert(command)
        race = [
            commands.hand_to_session(command, "s1"),
            commands.end_unsent(command.id, CommandState.EXPIRED, EXPIRY),
        ]
        if number % 2:
            race.reverse()
        results = await asyncio.gather(*race)
        taken, expired = reversed(results) if number % 2 else results
        assert bool(taken) is (expired is None)
        stored = await commands.find(command.id)
        assert (stored.session_id, stored.state) == (
            ("s1", CommandState.QUEUED) if taken else (None, CommandState.EXPIRED)
        )


# Looking commands up


async def test_what_waits_for_a_lock_is_queued_in_nobodys_hand_and_not_too_late(
    commands: CommandStore,
):
    await commands.insert(command_with("second", requested_at=NOW + TICK))
    await commands.insert(command_with("first"))
    await commands.insert(command_with("elsewhere", lock_id=18))
    await commands.insert(command_with("taken", session_id="s1"))
    await commands.insert(command_with("sent", state=CommandState.SENT))
    await commands.insert(command_with("late", expires_at=NOW))
    waiting = await commands.waiting_for(17, NOW)
    assert [command.id for command in waiting] == ["first", "second"]


async def test_a_command_does_not_wait_at_its_expiry(commands: CommandStore):
    await commands.insert(command_with())
    assert await commands.waiting_for(17, EXPIRY - TICK) != []
    assert await commands.waiting_for(17, EXPIRY) == []


async def test_unanswered_commands_are_those_without_an_outcome_past_their_expiry(
    commands: CommandStore,
):
    for state in CommandState:
        await commands.insert(command_with(state.value, state=state))
    assert await commands.unanswered_before(EXPIRY, 10) == []
    unanswered = await commands.unanswered_before(EXPIRY + TICK, 10)
    assert {command.id for command in unanswered} == {"queued", "sent", "accepted"}
    assert len(await commands.unanswered_before(EXPIRY + TICK, 2)) == 2


async def test_a_locks_commands_are_listed_newest_first_for_its_organisation_only(
    commands: CommandStore,
):
    for number in range(4):
        await commands.insert(command_with(f"c{number}", requested_at=NOW + number * TICK))
    await commands.insert(command_with("foreign", org_id="another org"))
    listed = await commands.list_of_lock(17, "org", 3)
    assert [command.id for command in listed] == ["c3", "c2", "c1"]
    assert [command.id for command in await commands.list_of_lock(17, "another org", 3)] == [
        "foreign"
    ]
