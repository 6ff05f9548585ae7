"""The two styles: each page loads one, so what both say is said twice, and must be the same."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "static"
GUESTS, OPERATORS = [(STATIC / name).read_text() for name in ("latchkey.css", "dashboard.css")]


def colours(style: str) -> list[dict[str, str]]:
    """The named colours of the light scheme, and of the dark one."""
    roots = re.findall(r":root {(.*?)}", style, re.DOTALL)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]+);", root)) for root in roots[:2]]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_a_colour_has_the_same_name_on_the_guests_pages_and_on_the_operators(scheme: int):
    guests, operators = colours(GUESTS)[scheme], colours(OPERATORS)[scheme]
    both = guests.keys() & operators.keys()
    assert {"paper", "card", "ink", "line", "act", "focus"} <= both
    assert {name: operators[name] for name in both} == {name: guests[name] for name in both}
