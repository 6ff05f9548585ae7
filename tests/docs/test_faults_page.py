"""The page of faults names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
NAMED = re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", PAGE)
ROWS = {int(number): row for number, row in re.findall(r"^\| (\d+) \|(.*)\|$", PAGE, re.MULTILINE)}
NEED_REAL_PROCESSES = (1, 4, 6, 7, 9, 12, 14, 15, 16, 18, 19, 20, 21, 22, 24, 25, 26, 27, 29, 30)
NEED_REAL_PROCESSES += (32, 36, 37, 44, 45)
"""Faults that would hurt most: they are brought about between processes, as out there."""


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_of_a_fault_is_there(path: str, name: str):
    defined = re.findall(r"^(?:async )?def (\w+)\(", (ROOT / path).read_text(), re.MULTILINE)
    assert name in defined


def test_every_fault_has_its_number_and_a_test_or_says_that_it_has_none():
    assert list(ROWS) == list(range(1, 46))
    assert [n for n, row in ROWS.items() if "`tests/" not in row and "No test" not in row] == []


def test_what_would_hurt_most_is_shown_with_real_processes():
    assert [number for number in NEED_REAL_PROCESSES if "`tests/faults/" not in ROWS[number]] == []
