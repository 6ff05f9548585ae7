"""Words that others have chosen, as they may be shown."""

import pytest

from server.domain.words import printable


@pytest.mark.parametrize("words", ["1.4.0-rc1 (ß)", "Haustür", "باب", "", "🔑"])
def test_what_can_be_shown_stays_as_it_is(words: str):
    assert printable(words) == words


@pytest.mark.parametrize(
    "letter", ["\x00", "\n", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066", "\u2028", "\ud800"]
)
def test_a_letter_that_steers_is_replaced_by_one_that_is_seen(letter: str):
    assert printable(f"1.0{letter}2") == "1.0�2"
