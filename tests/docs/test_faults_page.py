"""The page of faults names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
NAMED = re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_test_of_a_fault_is_there(path: str, name: str):
    defined = re.findall(r"^(?:async )?def (\w+)\(", (ROOT / path).read_text(), re.MULTILINE)
    assert name in defined


def test_every_fault_has_its_number_and_a_test_or_says_that_it_has_none():
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert [number for number, row in rows if "`tests/" not in row and "No test" not in row] == []
    assert len(rows) == 45
