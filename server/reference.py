"""Every setting, word of an answer and metric, as the Markdown page ``docs/reference.md``.

It is made of what the code says about itself, and a test holds the page to it.
"""

import http
import inspect
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from msgspec import Meta, Struct

from handlers.error_answers import status_of
from server.domain.commands import CommandState
from server.domain.errors import LatchkeyError
from server.domain.locks import OfflineReason
from server.domain.protocol import CloseCode
from server.metrics import Described, PrometheusMetrics
from server.settings import Secret, Settings

REMAKE = "python -m server reference > docs/reference.md"
"""The command that writes the page anew."""

_INTRODUCTION = f"""\
# Reference

Made from the code by `{REMAKE}`; change the code, not this page.
"""
_ABOUT_SETTINGS = """\
All come from the environment. Each may be in a file instead, whose path is in the variable of the
same name with `_FILE` behind it (`LATCHKEY_JWT_SECRET_FILE=/run/secrets/jwt`). A name that ends in
`_S` is a number of seconds. All that cannot be used is told at the start, at once.
"""
_ABOUT_REASONS = """\
The word in `reason` of an error's JSON body. Programs match on it; the `message` is for people and
may change. Where the status is empty, the word is said at a shell or within the server only.
Beside these, a refusal that HTTP itself has a name for carries that name (`method_not_allowed`,
`request_entity_too_large`).
"""
_ABOUT_METRICS = """\
What `GET /metrics` says of one server process, to whoever sends `LATCHKEY_METRICS_TOKEN` as its
bearer token. The last column has the labels, each with the values that are there from the start.
"""


class Setting(Struct, frozen=True, kw_only=True):
    """One setting, as an operator knows it."""

    variable: str
    default: str
    meaning: str
    is_secret: bool


def reference() -> str:
    """The whole page."""
    settings = [
        (f"`{setting.variable}`", _code(setting.default), _with_secrecy(setting))
        for setting in every_setting()
    ]
    reasons = [(f"`{error.reason}`", _status(error), meaning_of(error)) for error in every_error()]
    codes = [(str(int(code)), code.name.lower().replace("_", " ")) for code in CloseCode]
    metrics = [
        (f"`{metric.name}`", metric.kind, metric.meaning, _labels(metric))
        for metric in PrometheusMetrics().describe()
    ]
    parts = [
        _INTRODUCTION,
        "## Settings\n",
        _ABOUT_SETTINGS,
        _table(("variable", "default", "what"), settings),
        "## Reasons of errors\n",
        _ABOUT_REASONS,
        _table(("reason", "status", "what happened"), reasons),
        "## Reasons for being offline\n",
        _words(OfflineReason),
        "## States of an open command\n",
        _words(CommandState),
        "## Close codes of a lock's connection\n",
        "What the lock should do is in [firmware.md](firmware.md).\n",
        _table(("code", "meaning"), codes),
        "## Metrics\n",
        _ABOUT_METRICS,
        _table(("metric", "kind", "what", "labels"), metrics),
    ]
    return "\n".join(parts)


def every_setting() -> Iterator[Setting]:
    """The settings, in the order in which they are declared.

    Raises:
        TypeError: one does not say what it is.
    """
    defaults = Settings()
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        kind, meta = _described(name, hint)
        yield Setting(
            variable=(meta.extra or {}).get("variable", f"LATCHKEY_{name.upper()}"),
            default=_shown(getattr(defaults, name)),
            meaning=meta.description or "",
            is_secret=Secret in (kind, *get_args(kind)),
        )


def every_error() -> list[type[LatchkeyError]]:
    """The errors that have a reason, by it; of all modules that are loaded."""
    found: dict[str, type[LatchkeyError]] = {}
    waiting: list[type[LatchkeyError]] = [LatchkeyError]
    while waiting:
        error = waiting.pop()
        waiting.extend(error.__subclasses__())
        if "reason" in vars(error):
            found[error.reason] = error
    return [found[reason] for reason in sorted(found)]


def meaning_of(error: type[LatchkeyError]) -> str:
    """The first paragraph of an error's own docstring; empty where it has none."""
    first = inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0]
    return " ".join(first.replace("``", "`").split())


def _described(name: str, hint: Any) -> tuple[Any, Meta]:
    if get_origin(hint) is Annotated:
        kind, *about = get_args(hint)
        for meta in about:
            if isinstance(meta, Meta) and meta.description:
                return kind, meta
    raise TypeError(f"Settings.{name} does not say what it is: give it a Meta(description=…)")


def _shown(default: object) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, tuple):
        return ",".join(str(part) for part in default)
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, Path) and default.is_relative_to(Path.home()):
        return f"~/{default.relative_to(Path.home())}"
    return str(default)


def _with_secrecy(setting: Setting) -> str:
    return f"{setting.meaning} Secret." if setting.is_secret else setting.meaning


def _status(error: type[LatchkeyError]) -> str:
    status = status_of(error.__new__(error))
    return "" if status == http.HTTPStatus.INTERNAL_SERVER_ERROR else str(status)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _words(words: type[StrEnum]) -> str:
    return ", ".join(f"`{word}`" for word in words) + "\n"


def _labels(metric: Described) -> str:
    return "; ".join(
        f"`{label}`: {', '.join(values)}" if values else f"`{label}`"
        for label, values in metric.labels.items()
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
