"""Log lines whose reader stands still: never waited for, kept within bounds, and counted."""

import os
from collections.abc import Iterator

import pytest

from server.log_writer import LogWriter

LINE = "x" * 999 + "\n"
LINES_IN_A_PIPE = 64
ROOM = 100
WITHIN_S = 20.0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: where it is read, and where it is written."""
    reads, writes = os.pipe()
    yield reads, writes
    os.close(writes)


def test_lines_are_written_in_their_order(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    writer = LogWriter(writes)
    for number in range(ROOM):
        writer.write(f"{number}\n")
    writer.finish(WITHIN_S)
    with os.fdopen(reads, "rb") as reader:
        assert [int(reader.readline()) for _ in range(ROOM)] == list(range(ROOM))


@pytest.mark.expects_log("log_lines_dropped")
def test_what_does_not_fit_is_dropped_and_counted_and_what_waits_is_written_later(
    pipe: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    reads, writes = pipe
    writer = LogWriter(writes, most_waiting_bytes=ROOM * len(LINE))
    written = 2 * ROOM + LINES_IN_A_PIPE
    for _ in range(written):
        writer.write(LINE)
    kept = written - writer.dropped
    with os.fdopen(reads, "rb") as reader:
        assert {reader.readline() for _ in range(kept)} == {LINE.encode()}
    assert f"'lines': {writer.dropped}" in caplog.text
    assert ROOM <= kept <= ROOM + LINES_IN_A_PIPE + 2


def test_nobody_waits_at_the_end_for_a_reader_that_stands_still(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    writer = LogWriter(writes)
    for _ in range(2 * LINES_IN_A_PIPE):
        writer.write(LINE)
    writer.finish(within_s=0.05)
    os.close(reads)  # which lets the writing thread go on
    writer.finish(WITHIN_S)
    assert writer.dropped > 0


def test_a_reader_that_has_gone_is_borne(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    os.close(reads)
    writer = LogWriter(writes)
    writer.write(LINE)
    writer.finish(WITHIN_S)
    assert writer.dropped == 1
