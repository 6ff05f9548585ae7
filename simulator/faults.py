"""Faults to switch on, so that others can prove that they survive them.

A plan is read from words such as ``drop=0.01,stall=0.001:20,jam``:

=================  ==============================================================
``drop=P``         each frame, sent or received: drop the connection with chance P
``stall=P:S``      each frame received: read and send nothing for S seconds, chance P
``jam[=P]``        the bolt does not move (with chance P, else always)
``duplicate[=P]``  reports and results are sent twice
``lose-result[=P]``  results are never sent; the events of the door still are
``wrong-clock=S``  the lock's own clock of the day is S seconds fast (negative: slow)
``slow-bolt=S``    the bolt takes S seconds more
=================  ==============================================================
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Faults:
    """What goes wrong, and how often. Without arguments: nothing."""

    drop: float = 0.0
    stall: float = 0.0
    stall_s: float = 0.0
    jam: float = 0.0
    duplicate: float = 0.0
    lose_result: float = 0.0
    wrong_clock_s: float = 0.0
    slow_bolt_s: float = 0.0

    @classmethod
    def parse(cls, text: str) -> "Faults":
        """Read a plan from ``drop=0.01,stall=0.001:20``; an empty text is no faults.

        Raises:
            ValueError: a word is unknown, or its number is missing or makes no sense.
        """
        faults = cls()
        for word in filter(None, (word.strip() for word in text.split(","))):
            faults = _with_word(faults, word)
        return faults


_ALWAYS = {"jam": "jam", "duplicate": "duplicate", "lose-result": "lose_result"}
_SECONDS = {"wrong-clock": "wrong_clock_s", "slow-bolt": "slow_bolt_s"}
_KNOWN = ("drop", "stall", *_ALWAYS, *_SECONDS)


def _with_word(faults: Faults, word: str) -> Faults:
    name, _, value = word.partition("=")
    if name == "drop":
        return replace(faults, drop=_chance(word, value))
    if name == "stall":
        chance, _, seconds = value.partition(":")
        return replace(faults, stall=_chance(word, chance), stall_s=_seconds(word, seconds))
    if name in _ALWAYS:
        return replace(faults, **{_ALWAYS[name]: _chance(word, value or "1")})
    if name in _SECONDS:
        return replace(faults, **{_SECONDS[name]: _seconds(word, value, name == "wrong-clock")})
    raise ValueError(f"unknown fault {word!r}; known are {', '.join(_KNOWN)}")


def _chance(word: str, value: str) -> float:
    number = _number(word, value)
    if not 0 <= number <= 1:
        raise ValueError(f"fault {word!r}: a chance is a number from 0 to 1")
    return number


def _seconds(word: str, value: str, negative: bool = False) -> float:
    number = _number(word, value)
    if not (-1e9 if negative else 0) <= number <= 1e9:
        raise ValueError(f"fault {word!r}: not a sensible number of seconds")
    return number


def _number(word: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"fault {word!r}: {value or 'nothing'!r} is not a number") from None
