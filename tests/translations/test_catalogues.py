"""Every sentence of the guest pages, in every language."""

import string

import pytest
from babel.messages.catalog import Message

from translations.__main__ import TRANSLATED, forms, read, sentences, untranslated, updated


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_sentence_is_translated(code: str) -> None:
    assert untranslated(updated(code, sentences())) == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_no_catalogue_has_a_sentence_that_nobody_says(code: str) -> None:
    assert {str(message.id) for message in read(code)} <= {str(said.id) for said in sentences()}
    assert read(code).obsolete == {}


@pytest.mark.parametrize("code", TRANSLATED)
def test_no_translation_is_a_guess(code: str) -> None:
    assert [message.id for message in read(code) if message.fuzzy] == []


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_translation_fills_the_placeholders_of_its_sentence(code: str) -> None:
    for message in read(code):
        # Some numbers are words: "two doors" needs no {n}.
        free = {"n"} if isinstance(message.id, tuple) else set[str]()
        for form in forms(message):
            assert placeholders(form) - free == placeholders(_source(message)) - free, form


@pytest.mark.parametrize("code", TRANSLATED)
def test_every_catalogue_counts_as_its_language_does(code: str) -> None:
    catalogue = read(code)
    for message in catalogue:
        assert len(forms(message)) == (
            catalogue.num_plurals if isinstance(message.id, tuple) else 1
        )


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def _source(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[-1]
