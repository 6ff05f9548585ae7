"""Bring every catalogue up to what the code and the templates say.

New sentences are added without a translation, what nobody says any more is taken out. A test
fails until a person has written what is missing.
"""

import io
from collections.abc import Iterator
from pathlib import Path

import tornado.template
from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po, write_po

from handlers.languages import CATALOGUES, LANGUAGES, SOURCE

TRANSLATED = tuple(code for code in LANGUAGES if code != SOURCE)

_ROOT = CATALOGUES.parent
_HEADER = """\
# Latchkey's guest pages: {code}
msgid ""
msgstr ""
"Language: {code}\\n"
"Plural-Forms: {plural_forms}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
_KEYWORDS = {**DEFAULT_KEYWORDS, "N_plural": (1, 2), "say": None}


def main() -> None:
    """Update each catalogue, and say what is left to do."""
    said = sentences()
    for code in TRANSLATED:
        catalogue = updated(code, said)
        write(code, catalogue)
        missing = untranslated(catalogue)
        print(f"{code}: {len(missing)} of {len(catalogue)} to translate", *missing, sep="\n  ")


def sentences() -> Catalog:
    """Every sentence that the views and the templates mark for translation."""
    found = Catalog()
    for place, code in _sources():
        for _, messages, _, _ in extract("python", io.BytesIO(code), _KEYWORDS):
            found.add(messages, locations=[(place, 0)])
    return found


def read(code: str) -> Catalog:
    """The catalogue of a language as it is stored."""
    with (CATALOGUES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code, abort_invalid=True)


def updated(code: str, said: Catalog) -> Catalog:
    """The catalogue of a language with every sentence that is ``said``, and no other."""
    before = read(code) if (CATALOGUES / f"{code}.po").exists() else Catalog()
    catalogue = Catalog(
        locale=code, fuzzy=False, header_comment=f"# Latchkey's guest pages: {code}"
    )
    for message in said:
        if message.id:
            known = before.get(message.id)
            string = known.string if known is not None else None
            catalogue.add(message.id, string, locations=sorted(message.locations))
    return catalogue


def write(code: str, catalogue: Catalog) -> None:
    """Store the catalogue of a language, without what changes each time (dates, versions)."""
    with (CATALOGUES / f"{code}.po").open("wb") as file:
        file.write(_HEADER.format(code=code, plural_forms=catalogue.plural_forms).encode())
        write_po(file, catalogue, width=100, omit_header=True, include_lineno=False)


def forms(message: Message) -> list[str]:
    """The translations of a message: one, or one for each kind of number; empty where missing."""
    if isinstance(message.string, str):
        return [message.string]
    return [str(form) for form in message.string or [""]]


def untranslated(catalogue: Catalog) -> list[str]:
    """The sentences of a catalogue that nobody has translated, or not for every number."""
    return [str(message.id) for message in catalogue if message.id and not all(forms(message))]


def _sources() -> Iterator[tuple[str, bytes]]:
    """Python that says the sentences, and where from: the templates as Tornado compiles them."""
    for path in sorted((_ROOT / "handlers" / "views").glob("*.py")):
        yield _place(path), path.read_bytes()
    loader = tornado.template.Loader(str(_ROOT / "templates"))
    for path in sorted((_ROOT / "templates").glob("*.html")):
        # What it includes or extends is compiled into it as well.
        yield _place(path), loader.load(path.name).code.encode()


def _place(path: Path) -> str:
    return path.relative_to(_ROOT).as_posix()


if __name__ == "__main__":
    main()
