import re

import pytest

from simulator.faults import Faults


def test_no_words_are_no_faults():
    assert Faults.parse("") == Faults()


def test_all_words_are_understood():
    assert Faults.parse(
        "drop=0.01, stall=0.001:20,jam,duplicate=0.5,wrong-clock=-3600,slow-bolt=6,lose-result"
    ) == Faults(
        drop=0.01,
        stall=0.001,
        stall_s=20,
        jam=1,
        duplicate=0.5,
        wrong_clock_s=-3600,
        slow_bolt_s=6,
        lose_result=1,
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("drip=0.1", "unknown fault 'drip=0.1'; known are drop, stall"),
        ("drop", "'nothing' is not a number"),
        ("drop=2", "a chance is a number from 0 to 1"),
        ("drop=nan", "a chance is a number from 0 to 1"),
        ("stall=0.1", "'nothing' is not a number"),
        ("stall=0.1:-5", "not a sensible number of seconds"),
        ("slow-bolt=inf", "not a sensible number of seconds"),
        ("wrong-clock=soon", "'soon' is not a number"),
    ],
)
def test_a_word_that_makes_no_sense_is_named(words, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        Faults.parse(words)
