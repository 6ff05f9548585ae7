"""What becomes of open commands: steps, uses given back, and what the sweep settles."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from server import clock
from server.bus.base import CommandNews
from server.bus.local_bus import LocalBus
from server.domain.commands import CommandState, OpenCommand, Step
from server.domain.errors import CommandNotFound
from server.domain.temp_keys import Claim, Door, TempKey
from server.metrics import PrometheusMetrics
from server.services.outcomes import Outcomes
from server.storage.command_store import CommandStore
from server.storage.mongo import Database
from server.storage.temp_key_store import TempKeyStore
from tests.house import until

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
EXPIRY = NOW + timedelta(seconds=8)
GRACE = timedelta(seconds=2)
TICK = timedelta(milliseconds=1)
KEY = "6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11"
WITHIN_S = 20
COMMAND = OpenCommand(
    id="c1",
    org_id="org",
    lock_id=17,
    requested_at=NOW,
    expires_at=EXPIRY,
    temp_key_uuid=KEY,
    door_id=1,
    history=[Step(state=CommandState.QUEUED, at=NOW)],
)


class Parts:
    """The service over real stores, and a wall clock that the test sets."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands = CommandStore(database)
        self.keys = TempKeyStore(database)
        self.bus = LocalBus()
        self.outcomes = Outcomes(self.commands, self.keys, self.bus, PrometheusMetrics())
        self._monkeypatch = monkeypatch

    def at(self, instant: datetime) -> None:
        """Set the wall clock."""
        self._monkeypatch.setattr(clock, "now", lambda: instant)

    async def sweep_at(self, instant: datetime) -> None:
        self.at(instant)
        await self.outcomes.sweep()

    async def claimed(self, command_id: str = "c1") -> None:
        """A tap: the key's only use is taken for a command."""
        claim = Claim(
            command_id=command_id,
            door_id=1,
            lock_id=17,
            at=NOW,
            expires_at=EXPIRY,
            marked=True,
        )
        await self.keys.claim_use(KEY, claim)

    async def stored(self, **fields: Any) -> OpenCommand:
        """The command of the tap, as it is stored."""
        command = msgspec.structs.replace(COMMAND, **fields)
        await self.commands.insert(command)
        return command

    async def state(self) -> CommandState:
        return (await self.commands.find("c1")).state

    async def uses(self) -> tuple[int, int]:
        """How many uses are counted, and how many of them are not settled."""
        key = await self.keys.find(KEY)
        return key.used_count, len(key.claims)


@pytest.fixture
def parts(database: Database, monkeypatch: pytest.MonkeyPatch, io_loop: Any) -> Parts:
    parts = Parts(database, monkeypatch)
    parts.at(NOW)
    key = TempKey(
        uuid=KEY,
        org_id="org",
        created_by="test",
        created_at=NOW,
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        doors=[Door(id=1, lock_id=17, lock_uuid="u")],
    )
    io_loop.run_sync(lambda: parts.keys.insert(key))
    io_loop.run_sync(parts.claimed)
    return parts


# Steps


async def test_a_step_is_recorded_with_its_time_and_its_reason(parts: Parts):
    await parts.stored(state=CommandState.SENT)
    parts.at(NOW + TICK)
    stepped = await parts.outcomes.record("c1", CommandState.FAILED, "jammed")
    assert stepped == await parts.commands.find("c1")
    assert stepped is not None
    assert (stepped.state, stepped.reason) == (CommandState.FAILED, "jammed")
    assert stepped.history[-1] == Step(state=CommandState.FAILED, at=NOW + TICK)


async def test_a_step_is_announced_to_whoever_watches(parts: Parts):
    await parts.stored()
    with parts.bus.watch("c1") as changes:
        await parts.outcomes.record("c1", CommandState.SENT)
        assert await changes.wait(WITHIN_S) == CommandNews(command_id="c1", state=CommandState.SENT)


async def test_a_step_that_is_not_allowed_is_neither_recorded_nor_announced(parts: Parts):
    command = await parts.stored(state=CommandState.OPENED)
    with parts.bus.watch("c1") as changes:
        assert await parts.outcomes.record("c1", CommandState.SENT) is None
        assert await changes.wait(0) is None
    assert await parts.commands.find("c1") == command


@pytest.mark.parametrize("state", [CommandState.EXPIRED, CommandState.REFUSED])
async def test_a_use_is_given_back_where_it_is_proven_that_the_door_did_not_open(
    parts: Parts, state: CommandState
):
    await parts.stored()
    await parts.outcomes.record("c1", state)
    assert await parts.uses() == (0, 0)


@pytest.mark.parametrize(
    "state", [CommandState.SENT, CommandState.ACCEPTED, CommandState.OPENED, CommandState.FAILED]
)
async def test_a_use_stays_counted_where_that_is_not_proven(parts: Parts, state: CommandState):
    await parts.stored()
    await parts.outcomes.record("c1", state)
    assert (await parts.uses())[0] == 1


async def test_a_command_that_no_key_asked_for_gives_no_use_back(parts: Parts):
    await parts.stored(temp_key_uuid=None, door_id=None)
    assert await parts.outcomes.record("c1", CommandState.REFUSED) is not None
    assert await parts.uses() == (1, 1)


# Waiting for the end


async def test_a_command_that_is_final_is_not_waited_for(parts: Parts):
    command = await parts.stored(state=CommandState.OPENED)
    assert await parts.outcomes.wait_until_final(command, WITHIN_S) == command


async def test_whoever_waits_is_told_the_outcome(parts: Parts):
    command = await parts.stored(state=CommandState.SENT)
    waiting = asyncio.create_task(parts.outcomes.wait_until_final(command, WITHIN_S))
    await parts.outcomes.record("c1", CommandState.ACCEPTED)
    await parts.outcomes.record("c1", CommandState.OPENED)
    assert (await waiting).state is CommandState.OPENED


async def test_whoever_waits_in_vain_is_told_how_the_command_stands(parts: Parts):
    command = await parts.stored(state=CommandState.SENT)
    assert await parts.outcomes.wait_until_final(command, 0.01) == command


async def test_a_command_that_was_never_stored_cannot_be_waited_for(parts: Parts):
    command = await parts.stored()
    with pytest.raises(CommandNotFound):
        await parts.outcomes.wait_until_final(msgspec.structs.replace(command, id="c2"), 0)


# The sweep


async def test_a_command_that_was_never_sent_expires_and_its_use_is_given_back(parts: Parts):
    await parts.stored()
    with parts.bus.watch("c1") as changes:
        await parts.sweep_at(EXPIRY + TICK)
        told = await changes.wait(WITHIN_S)
    assert told is not None
    assert told.state is CommandState.EXPIRED
    assert await parts.state() is CommandState.EXPIRED
    assert await parts.uses() == (0, 0)


async def test_a_command_is_left_alone_until_its_expiry(parts: Parts):
    await parts.stored()
    await parts.sweep_at(EXPIRY)
    assert await parts.state() is CommandState.QUEUED
    assert await parts.uses() == (1, 1)


IN_HAND = [CommandState.QUEUED, CommandState.SENT, CommandState.ACCEPTED]


@pytest.mark.parametrize("state", IN_HAND)
async def test_silence_about_a_command_in_a_sessions_hand_is_unconfirmed_after_the_grace(
    parts: Parts, state: CommandState
):
    await parts.stored(state=state, session_id="s1")
    await parts.sweep_at(EXPIRY + GRACE)
    assert await parts.state() is CommandState.UNCONFIRMED


@pytest.mark.parametrize("state", IN_HAND)
async def test_within_the_grace_the_answer_may_still_come(parts: Parts, state: CommandState):
    await parts.stored(state=state, session_id="s1")
    await parts.sweep_at(EXPIRY + GRACE - TICK)
    assert await parts.state() is state


async def test_silence_alone_gives_no_use_back(parts: Parts):
    await parts.stored(state=CommandState.SENT, session_id="s1")
    await parts.sweep_at(EXPIRY + 3 * GRACE)
    assert await parts.uses() == (1, 1)


@pytest.mark.parametrize("outcome", [CommandState.OPENED, CommandState.FAILED])
async def test_a_late_result_settles_what_silence_left_open(parts: Parts, outcome: CommandState):
    await parts.stored(state=CommandState.SENT, session_id="s1")
    await parts.sweep_at(EXPIRY + GRACE)
    parts.at(NOW + timedelta(hours=1))
    await parts.outcomes.record("c1", outcome)
    await parts.sweep_at(NOW + timedelta(hours=1))
    assert await parts.state() is outcome
    assert await parts.uses() == (1, 0)


async def test_a_late_refusal_gives_the_use_back(parts: Parts):
    await parts.stored(state=CommandState.SENT, session_id="s1")
    await parts.sweep_at(EXPIRY + 3 * GRACE)
    await parts.outcomes.record("c1", CommandState.REFUSED)
    assert await parts.uses() == (0, 0)


async def test_a_use_whose_command_was_never_recorded_is_given_back_and_told_about(parts: Parts):
    await parts.sweep_at(EXPIRY + 2 * GRACE + TICK)
    command = await parts.commands.find("c1")
    assert command.state is CommandState.EXPIRED
    assert (command.temp_key_uuid, command.door_id, command.lock_id) == (KEY, 1, 17)
    assert await parts.uses() == (0, 0)


async def test_a_use_whose_command_may_still_be_on_its_way_is_left_alone(parts: Parts):
    await parts.sweep_at(EXPIRY + 2 * GRACE)
    assert await parts.uses() == (1, 1)
    with pytest.raises(CommandNotFound):
        await parts.commands.find("c1")


async def test_a_command_that_is_written_after_its_use_was_given_back_is_not_sent(parts: Parts):
    await parts.sweep_at(EXPIRY + 3 * GRACE)
    late = await parts.stored()
    assert not await parts.commands.hand_to_session(late, "s1")
    assert await parts.state() is CommandState.EXPIRED


async def test_a_use_stays_counted_where_a_session_takes_its_command_in_the_middle_of_a_sweep(
    parts: Parts,
):
    """A node whose clock is wrong sweeps what another one is just about to send."""
    parts.at(EXPIRY + 3 * GRACE)
    await parts.keys.give_use_back(KEY, "c1")
    for number in range(100):
        command_id = f"late-{number}"
        await parts.claimed(command_id)
        command = msgspec.structs.replace(COMMAND, id=command_id)

        async def take(command: OpenCommand = command, after_s: float = number / 40_000) -> bool:
            await asyncio.sleep(after_s)
            return await parts.commands.hand_to_session(command, "s1")

        _, was_taken = await asyncio.gather(parts.outcomes.sweep(), take())
        used, _ = await parts.uses()
        assert used == (1 if was_taken else 0)
        await parts.keys.give_use_back(KEY, command_id)


async def test_each_of_the_claims_that_one_sweep_finds_is_settled_by_its_own_command(parts: Parts):
    await parts.stored(state=CommandState.OPENED)
    for command_id, state in (
        ("c2", CommandState.FAILED),
        ("c3", CommandState.REFUSED),
        ("c4", CommandState.UNCONFIRMED),
    ):
        await parts.claimed(command_id)
        await parts.stored(id=command_id, state=state)
    await parts.claimed("never recorded")
    await parts.sweep_at(EXPIRY + 3 * GRACE)
    key = await parts.keys.find(KEY)
    assert [claim.command_id for claim in key.claims] == ["c4"]
    assert key.used_count == 3


@pytest.mark.expects_log("sweep_failed")
async def test_a_sweep_that_fails_is_not_the_last_one(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
):
    await parts.stored()
    parts.at(EXPIRY + TICK)
    sound, failures = parts.outcomes.sweep, [RuntimeError("a defect")]

    async def sweep() -> None:
        if failures:
            raise failures.pop()
        await sound()

    monkeypatch.setattr(parts.outcomes, "sweep", sweep)
    sweeping = asyncio.create_task(parts.outcomes.sweep_forever())

    async def expired() -> bool:
        return await parts.state() is CommandState.EXPIRED

    assert await until(expired)
    sweeping.cancel()


async def test_however_many_nodes_sweep_at_once_a_use_is_given_back_once(parts: Parts):
    await parts.claimed("c2")
    await parts.keys.settle_claims([(KEY, "c2")])
    parts.at(EXPIRY + 3 * GRACE)
    await asyncio.gather(*(parts.outcomes.sweep() for _ in range(10)))
    assert await parts.uses() == (1, 0)


async def test_however_many_nodes_sweep_at_once_a_command_expires_once(parts: Parts):
    await parts.stored()
    parts.at(EXPIRY + TICK)
    await asyncio.gather(*(parts.outcomes.sweep() for _ in range(10)))
    command = await parts.commands.find("c1")
    assert [step.state for step in command.history] == ["queued", "expired"]
    assert await parts.uses() == (0, 0)


async def test_the_use_of_an_opened_door_is_settled_and_stays_counted(parts: Parts):
    await parts.stored(state=CommandState.OPENED, session_id="s1")
    await parts.sweep_at(EXPIRY + 3 * GRACE)
    assert await parts.uses() == (1, 0)


async def test_a_use_that_a_killed_server_did_not_give_back_is_given_back_later(parts: Parts):
    await parts.stored(state=CommandState.REFUSED, session_id="s1")
    await parts.sweep_at(EXPIRY + 3 * GRACE)
    assert await parts.uses() == (0, 0)


async def test_after_a_day_an_unconfirmed_use_is_settled_for_good(parts: Parts):
    await parts.stored(state=CommandState.UNCONFIRMED, session_id="s1")
    await parts.sweep_at(NOW + timedelta(hours=24))
    assert await parts.uses() == (1, 1)
    await parts.sweep_at(NOW + timedelta(hours=24) + TICK)
    assert await parts.uses() == (1, 0)
