from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domain.protocol import ResultStatus
from simulator.command_ring import CommandRing, RememberedCommand

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def command(number: int, status: ResultStatus = ResultStatus.ACCEPTED) -> RememberedCommand:
    return RememberedCommand(id=f"c-{number}", status=status, at=NOW)


@settings(deadline=None, max_examples=20)
@given(count=st.integers(0, 300), reboot_every=st.integers(1, 50))
def test_the_last_64_commands_survive_reboots(tmp_path_factory, count, reboot_every):
    path = tmp_path_factory.mktemp("ring") / "commands.jsonl"
    ring = CommandRing(path)
    for number in range(count):
        ring.remember(command(number))
        ring.remember(command(number, ResultStatus.OPENED))
        if number % reboot_every == 0:
            ring = CommandRing(path)
    expected = [command(number, ResultStatus.OPENED) for number in range(max(0, count - 64), count)]
    assert list(ring) == expected
    assert list(CommandRing(path)) == expected
    assert not path.exists() or len(path.read_bytes().splitlines()) <= 4 * 64


def test_a_late_result_does_not_make_an_old_command_younger(tmp_path):
    ring = CommandRing(tmp_path / "commands.jsonl", size=2)
    ring.remember(command(1))
    ring.remember(command(2))
    ring.remember(command(1, ResultStatus.OPENED))
    ring.remember(command(3))
    assert [entry.id for entry in ring] == ["c-2", "c-3"]


def test_what_the_server_was_told_is_remembered(tmp_path):
    path = tmp_path / "commands.jsonl"
    ring = CommandRing(path)
    ring.remember(command(1, ResultStatus.OPENED))
    ring.remember(command(2, ResultStatus.REFUSED))
    ring.remember(command(3))
    ring.mark_told("c-1")
    ring.mark_told("c-9")
    after = CommandRing(path)
    assert [entry.id for entry in after.untold()] == ["c-2"]
    assert [entry.id for entry in after.unfinished()] == ["c-3"]


@pytest.mark.expects_log("cannot be read")
def test_a_line_that_cannot_be_read_loses_no_other_command(tmp_path):
    path = tmp_path / "commands.jsonl"
    ring = CommandRing(path)
    ring.remember(command(1))
    path.write_bytes(path.read_bytes() + b"rubbish\n")
    CommandRing(path).remember(command(2))
    assert [entry.id for entry in CommandRing(path)] == ["c-1", "c-2"]
