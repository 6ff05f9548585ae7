import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import flash

lines = st.lists(
    st.binary(max_size=20).filter(lambda line: b"\n" not in line and b"\r" not in line)
)


def test_a_file_that_is_not_there_has_no_lines(tmp_path):
    assert flash.read_lines(tmp_path / "none.jsonl") == []
    flash.repair(tmp_path / "none.jsonl")


@given(kept=lines, data=st.data())
def test_a_power_cut_at_any_byte_loses_at_most_the_line_that_was_being_written(
    tmp_path_factory, kept, data
):
    path = tmp_path_factory.mktemp("flash") / "journal.jsonl"
    for line in kept:
        flash.append_line(path, line)
    whole = b"".join(line + b"\n" for line in kept)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    flash.repair(path)
    survived = flash.read_lines(path)
    assert survived == kept[: whole[:cut].count(b"\n")]
    flash.append_line(path, b"after")
    assert flash.read_lines(path) == [*survived, b"after"]


def test_reading_never_changes_a_file_that_another_process_is_writing(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b"one\ntw")
    assert flash.read_lines(path) == [b"one"]
    assert path.read_bytes() == b"one\ntw"


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    flash.append_line(path, b"one")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:2]))
    with pytest.raises(OSError, match="no space") as caught:
        flash.append_line(path, b"three")
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"one\n"


def test_a_replaced_file_is_the_old_one_until_the_new_one_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "journal.jsonl"
    flash.replace_file(path, [b"old"])

    def power_cut(*_: object) -> None:
        raise OSError("power cut")

    monkeypatch.setattr(os, "replace", power_cut)
    with pytest.raises(OSError, match="power cut"):
        flash.replace_file(path, [b"new"])
    assert flash.read_lines(path) == [b"old"]
