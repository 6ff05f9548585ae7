"""The error tree: one word and one sentence for everything that may go wrong on purpose."""

import inspect
import re
from datetime import UTC, datetime, timedelta

import pytest

from server.domain import database_errors, errors, refusals
from server.domain.errors import InvalidInput, LatchkeyError, NotFound, ProtocolError

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
EXAMPLES: dict[object, object] = {str: "is wrong", int: 4003, timedelta: MINUTE, datetime: NOW}
"""What an error may be made with, by type."""


def made(kind: type[LatchkeyError]) -> LatchkeyError:
    """An error of this kind, made with an example of everything that it needs."""
    if kind.__init__ is Exception.__init__:
        return kind("Something is wrong")
    needed = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return kind(*(EXAMPLES[one.annotation] for one in needed if one.default is one.empty))


EXCEPTIONS = {
    kind
    for module in (errors, refusals, database_errors)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
}


def kinds(root: type[LatchkeyError]) -> list[type[LatchkeyError]]:
    """Every kind of error of the modules, below ``root``."""
    found = [kind for kind in EXCEPTIONS if issubclass(kind, root) and kind is not root]
    return sorted(found, key=str)


RAISED = [kind for kind in kinds(LatchkeyError) if kind is not refusals.KeyRefused]


def test_every_error_of_the_modules_is_in_the_tree():
    assert all(issubclass(kind, LatchkeyError) for kind in EXCEPTIONS)


@pytest.mark.parametrize("kind", RAISED)
def test_every_error_has_a_stable_word(kind: type[LatchkeyError]):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.reason)


def test_no_two_errors_have_the_same_word():
    words = [kind.reason for kind in RAISED]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("kind", RAISED)
def test_every_error_has_a_sentence_for_a_person(kind: type[LatchkeyError]):
    assert len(str(made(kind))) > 5


@pytest.mark.parametrize("kind", [NotFound, *kinds(NotFound)])
def test_whatever_is_not_found_is_told_in_the_same_words(kind: type[NotFound]):
    assert str(kind()) == "The requested resource was not found"


def test_wrong_input_says_where_it_is_wrong():
    error = InvalidInput("doors[0].lockId", "must be a number")
    assert error.field == "doors[0].lockId"
    assert str(error) == "doors[0].lockId: must be a number"


def test_wrong_input_as_a_whole_names_no_field():
    assert str(InvalidInput("", "The body is not readable")) == "The body is not readable"


def test_a_protocol_error_carries_the_close_code_and_the_word_for_the_lock():
    error = ProtocolError(1009, "too_big", "a frame has at most 64 KiB")
    assert (error.close_code, error.code) == (1009, "too_big")
    assert str(error) == "a frame has at most 64 KiB"
