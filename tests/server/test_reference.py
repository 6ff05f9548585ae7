"""The reference that operators and partners read, held to the code."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from server import reference
from server.environment import read_settings

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"


class AskedFor(dict[str, str]):
    """An environment that remembers what was looked up in it, and holds none of our variables."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        ours = "LATCHKEY_"
        super().__init__({n: text for n, text in variables.items() if not n.startswith(ours)})
        self.names: set[str] = set()

    def __missing__(self, name: str) -> str:
        self.names.add(name)
        raise KeyError(name)


def test_the_page_says_what_the_code_does():
    assert PAGE.read_text() == reference.reference(), f"run: {reference.REMAKE}"


def test_every_variable_that_is_read_is_in_the_reference_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
):
    asked_for = AskedFor(os.environ)
    monkeypatch.setattr(os, "environ", asked_for)
    read_settings()
    documented = {setting.variable for setting in reference.every_setting()}
    assert {name for name in asked_for.names if name.startswith("LATCHKEY_")} == documented


def test_every_error_says_what_happened():
    silent = [error.__name__ for error in reference.every_error() if not error.__doc__]
    assert silent == []


def test_no_reason_means_two_things():
    declared = [error.reason for error in reference.every_error()]
    assert len(declared) == len(set(declared)) > 20


def test_a_setting_without_a_meaning_is_refused(monkeypatch: pytest.MonkeyPatch):
    class Silent(Struct):
        loud: Annotated[int, Meta(description="How loud.")] = 1
        quiet: int = 2

    monkeypatch.setattr(reference, "Settings", Silent)
    with pytest.raises(TypeError, match="quiet does not say what it is"):
        list(reference.every_setting())


def test_a_default_never_shows_whose_machine_made_the_page():
    assert str(Path.home()) not in reference.reference()
