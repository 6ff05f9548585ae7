"""The life of an open command, held against the lock protocol's own words."""

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.commands import (
    SETTLED,
    SHOWN_AS_FINAL,
    USE_GIVEN_BACK,
    CommandState,
    OpenCommand,
    advance,
    command_id,
    command_of,
    new_attempt,
    predecessors,
)
from server.domain.errors import IllegalTransition
from server.domain.temp_keys import Claim, TempKey

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)

# The protocol: queued → sent → accepted → opened | refused | failed; queued → expired;
# silence after the grace → unconfirmed, which a late report may still settle. The
# record of a step may be lost while the lock acts, so any step may be skipped.
MAY_BECOME = {
    "queued": {"sent", "accepted", "opened", "refused", "failed", "expired", "unconfirmed"},
    "sent": {"accepted", "opened", "refused", "failed", "unconfirmed"},
    "accepted": {"opened", "refused", "failed", "unconfirmed"},
    "unconfirmed": {"opened", "refused", "failed"},
    "opened": set[str](),
    "refused": set[str](),
    "failed": set[str](),
    "expired": set[str](),
}
PAIRS = list(product(MAY_BECOME, MAY_BECOME))
ALLOWED = [(before, after) for before, after in PAIRS if after in MAY_BECOME[before]]
FORBIDDEN = [(before, after) for before, after in PAIRS if after not in MAY_BECOME[before]]

states = st.sampled_from(list(CommandState))


def command_in(state: str, reason: str | None = None) -> OpenCommand:
    return OpenCommand(
        id="c",
        org_id="org",
        lock_id=17,
        requested_at=NOW,
        expires_at=NOW + timedelta(seconds=8),
        state=CommandState(state),
        reason=reason,
    )


def test_the_table_of_this_test_names_every_state():
    assert set(MAY_BECOME) == {state.value for state in CommandState}


@pytest.mark.parametrize(("before", "after"), ALLOWED)
def test_a_command_takes_every_step_that_the_protocol_allows(before: str, after: str):
    assert advance(command_in(before), CommandState(after), NOW).state == after


@pytest.mark.parametrize(("before", "after"), FORBIDDEN)
def test_a_command_takes_no_step_that_the_protocol_does_not_allow(before: str, after: str):
    with pytest.raises(IllegalTransition, match=f"{before} is not followed by {after}"):
        advance(command_in(before), CommandState(after), NOW)


@pytest.mark.parametrize("after", list(CommandState))
def test_the_predecessors_are_the_inverse_of_the_steps(after: CommandState):
    assert predecessors(after) == {before for before, to in ALLOWED if to == after}


def test_the_settled_states_are_those_that_nothing_follows():
    assert {"opened", "refused", "failed", "expired"} == SETTLED


def test_a_guest_stops_waiting_at_a_settled_state_and_at_silence():
    assert SETTLED | {"unconfirmed"} == SHOWN_AS_FINAL


def test_a_use_is_given_back_only_on_proof_that_the_door_did_not_open():
    assert {"expired", "refused"} == USE_GIVEN_BACK


@given(steps=st.lists(states, max_size=12))
def test_a_settled_command_never_changes_again(steps: list[CommandState]):
    command = command_in("queued")
    settled_as: OpenCommand | None = None
    for step in steps:
        try:
            command = advance(command, step, NOW)
        except IllegalTransition:
            continue
        assert settled_as is None, f"{settled_as} became {step}"
        if command.state in SETTLED:
            settled_as = command


@given(steps=st.lists(states, max_size=12))
def test_the_history_tells_every_step_in_order(steps: list[CommandState]):
    command = command_in("queued")
    taken: list[tuple[CommandState, datetime]] = []
    for number, step in enumerate(steps):
        at = NOW + timedelta(seconds=number)
        try:
            command = advance(command, step, at)
        except IllegalTransition:
            continue
        taken.append((step, at))
    assert [(step.state, step.at) for step in command.history] == taken
    assert len(taken) <= 4


def test_a_step_leaves_the_earlier_command_as_it_was():
    command = command_in("queued")
    advance(command, CommandState.SENT, NOW)
    assert command == command_in("queued")


def test_a_step_may_give_a_reason():
    refused = advance(command_in("sent"), CommandState.REFUSED, NOW, "jammed")
    assert refused.reason == "jammed"


def test_a_step_without_a_reason_keeps_the_earlier_one():
    late = advance(command_in("unconfirmed", "slow"), CommandState.OPENED, NOW)
    assert late.reason == "slow"


def test_an_answer_is_due_two_seconds_after_the_expiry():
    assert command_in("sent").answer_due_at == NOW + timedelta(seconds=10)


# Ids


@given(key=st.text(), door=st.integers(1, 50), attempt=st.text())
def test_the_same_attempt_always_means_the_same_command(key: str, door: int, attempt: str):
    assert command_id(key, door, attempt) == command_id(key, door, attempt)


words = st.text("abc-", min_size=1, max_size=4)


@given(
    one=st.tuples(words, st.integers(1, 50), words),
    other=st.tuples(words, st.integers(1, 50), words),
)
def test_another_key_door_or_attempt_means_another_command(
    one: tuple[str, int, str], other: tuple[str, int, str]
):
    assert (command_id(*one) == command_id(*other)) is (one == other)


def test_an_id_fits_the_protocol_and_does_not_show_the_key():
    key_uuid = "6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11"
    made = command_id(key_uuid, 1, "attempt")
    assert len(made) == 32
    assert made.isalnum()
    assert key_uuid.replace("-", "") not in made


def test_two_taps_have_two_attempts():
    assert new_attempt() != new_attempt()


def test_the_command_of_a_claim_is_queued_for_the_lock_that_was_claimed():
    key = TempKey(
        uuid="key",
        org_id="org",
        created_by="test",
        created_at=NOW,
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        doors=[],
    )
    claim = Claim(
        command_id="c", door_id=2, lock_id=18, at=NOW, expires_at=NOW + timedelta(seconds=8)
    )
    command = command_of(key, claim)
    assert (command.id, command.org_id, command.temp_key_uuid) == ("c", "org", "key")
    assert (command.lock_id, command.door_id) == (18, 2)
    assert (command.requested_at, command.expires_at) == (claim.at, claim.expires_at)
    assert command.state is CommandState.QUEUED
    assert command.session_id is None
    assert [(step.state, step.at) for step in command.history] == [("queued", NOW)]
