"""The languages of the guest pages: their catalogues, and which one a guest is shown.

The catalogues are ``translations/*.po``. They are read as they are, once, when the server
starts: there is nothing to compile, and so nothing that can be out of date.
"""

import functools
import io
import unicodedata
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

import babel
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from tornado.locale import GettextLocale

CATALOGUES = Path(__file__).parents[1] / "translations"

SOURCE = "en"
"""The language in which the sentences stand in the code."""

LANGUAGES = (SOURCE, "de", "el", "es", "fr", "it", "ar")

_FORMATS_OF = {SOURCE: "en_GB"}  # the day before the month, and 24 hours
_RIGHT_TO_LEFT = frozenset({"R", "AL"})
_STEERS = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
_ISOLATE, _END_OF_ISOLATE = "\u2068", "\u2069"


class Language(GettextLocale):
    """One language: its sentences, its script's direction, and how it writes dates.

    ``was_asked_for`` is whether the address of the page names it (``?lang=``): then the links
    of that page name it too.
    """

    def __init__(self, code: str, translations: NullTranslations, was_asked_for: bool) -> None:
        super().__init__(code, translations)
        self.formats = babel.Locale.parse(_FORMATS_OF.get(code, code))
        self.direction: str = self.formats.text_direction
        self._was_asked_for = was_asked_for

    @property
    def own_name(self) -> str:
        """What its speakers call it."""
        return (self.formats.get_language_name() or self.code).capitalize()

    @property
    def asked_for(self) -> str | None:
        """The language's code, where the address of the page names it."""
        return self.code if self._was_asked_for else None

    def say(self, sentence: str, **values: object) -> str:
        """A sentence of the code in this language, with its placeholders filled."""
        return self._fill(self.translate(sentence), values)

    def count(self, one: str, many: str, n: int, **values: object) -> str:
        """A sentence about ``n`` of something."""
        return self._fill(self.translate(one, many, n), {"n": n, **values})

    def link(self, url: str) -> str:
        """The address of another page of ours, which keeps the guest's choice of language."""
        if not self._was_asked_for:
            return url
        return f"{url}{'&' if '?' in url else '?'}lang={self.code}"

    def _fill(self, sentence: str, values: dict[str, object]) -> str:
        return sentence.format_map({name: self._apart(value) for name, value in values.items()})

    def _apart(self, value: object) -> object:
        """A name of the other direction, marked so that it leaves the words around it in order.

        Numbers run from the left everywhere: among words from the right, "+39 06" would not.
        What steers the direction of letters (U+202E, say) is left out: it could undo the mark.
        """
        if not isinstance(value, str):
            return value
        value = "".join(letter for letter in value if not _steers(letter))
        directions = {unicodedata.bidirectional(letter) for letter in value}
        from_the_right = not directions.isdisjoint(_RIGHT_TO_LEFT)
        stays = not from_the_right
        if self.direction == "rtl":
            stays = from_the_right and "L" not in directions
        return value if stays else f"{_ISOLATE}{value}{_END_OF_ISOLATE}"


def _steers(letter: str) -> bool:
    return unicodedata.bidirectional(letter) in _STEERS


@functools.cache
def language(code: str, was_asked_for: bool = False) -> Language:
    """The language with that code, which is one of ``LANGUAGES``."""
    return Language(code, _translations(code), was_asked_for)


def language_for(asked: str, accepted: list[str]) -> Language:
    """The language that is ``asked`` for by name, or else the first of those ``accepted`` that
    we have, or else English. Both are language tags, of which the language itself counts."""
    code = _known(asked)
    if code is not None:
        return language(code, was_asked_for=True)
    return language(next(filter(None, map(_known, accepted)), SOURCE))


def choices() -> list[Language]:
    """Every language, as one that a guest asks for."""
    return [language(code, was_asked_for=True) for code in LANGUAGES]


def load_languages() -> None:
    """Read every catalogue, so that no guest waits for it.

    Raises:
        OSError, PoFileError: one cannot be read.
    """
    for code in LANGUAGES:
        language(code)


def _known(tag: str) -> str | None:
    code = tag.partition("-")[0].lower()
    return code if code in LANGUAGES else None


@functools.cache
def _translations(code: str) -> NullTranslations:
    if code == SOURCE:
        return NullTranslations()
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        catalogue = read_po(file, locale=code, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)
