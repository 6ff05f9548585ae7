"""The parts of a URL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.parameters import offline_flag, positive
from server.domain.errors import InvalidInput


@given(number=st.integers(1, 2**53 - 1))
def test_a_whole_number_above_zero_is_read(number: int):
    assert positive("id", str(number)) == number


WRONG = ["", "0", "-1", "+1", "1.0", "1e3", " 1", "1 ", "0x1", "1_0", "٣", "²", "one", "1\n"]


@pytest.mark.parametrize("text", [*WRONG, "00", str(2**53), "9" * 5000])
def test_anything_else_is_refused_by_name(text: str):
    with pytest.raises(InvalidInput, match="doorId: must be a whole number above zero") as refused:
        positive("doorId", text)
    assert refused.value.field == "doorId"


@given(text=st.text())
def test_no_text_raises_anything_but_invalid_input(text: str):
    try:
        number = positive("id", text)
    except InvalidInput:
        return
    assert 0 < number < 2**53


def test_a_link_says_that_the_lock_was_offline_with_the_word_true():
    assert offline_flag("true")


@pytest.mark.parametrize("text", ["", "false", "null", "1", "TRUE", "True", "yes", "truetrue"])
def test_anything_else_does_not_say_that_the_lock_was_offline(text: str):
    assert not offline_flag(text)
