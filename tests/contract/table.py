"""The contract's table: what a row says, and whether an answer is what it says."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from tests.contract.world import World
from tests.house import Page


class Only(dict[str, Any]):
    """Fields of an object that has no others."""


class Ask(NamedTuple):
    """A request, and what answers it."""

    what: str
    """``GET /locks/$lock``; names with a ``$`` are those of ``tests.contract.world``."""
    body: Any
    who: str
    headers: dict[str, str]
    status: int
    answer: Any
    """What the answer has to be; see ``differences``. For a page, the words of its heading."""
    answer_headers: dict[str, str]
    """Headers of the answer, as patterns."""


Given = Callable[[World], Awaitable[object]]


class Row(NamedTuple):
    """One fact of the contract: its section, in words, and by requests in order."""

    section: str
    fact: str
    steps: tuple[Ask | Given, ...]

    @property
    def id(self) -> str:
        """The row as a test's name."""
        return f"{self.section}: {self.fact}"


def ask(
    what: str,
    body: Any = None,
    *,
    who: str = "organisation",
    status: int = 200,
    answer: Any = ...,
    answer_headers: dict[str, str] | None = None,
    **headers: str,
) -> Ask:
    """A request and its answer; ``headers`` are the request's."""
    return Ask(what, body, who, headers, status, answer, answer_headers or {})


def differences(expected: Any, actual: Any, where: str = "") -> list[str]:
    """How an answer differs from what is expected of it.

    An object has at least the fields that are named; a pattern has to match a text whole, a
    type to be the value's, and ``...`` is anything.
    """
    match expected:
        case dict():
            return _object_differences(expected, actual, where)
        case list():
            if not isinstance(actual, list) or len(actual) != len(expected):
                return [f"{where} is {actual!r}"]
            pairs = enumerate(zip(expected, actual, strict=True))
            return [line for n, pair in pairs for line in differences(*pair, f"{where}[{n}]")]
        case re.Pattern():
            good = isinstance(actual, str) and expected.fullmatch(actual)
        case type():
            good = isinstance(actual, expected) and isinstance(actual, bool) == (expected is bool)
        case _:
            good = expected is ... or (actual == expected and type(actual) is type(expected))
    return [] if good else [f"{where} is {actual!r}, not {expected!r}"]


def _object_differences(expected: dict[str, Any], actual: Any, where: str) -> list[str]:
    if not isinstance(actual, dict):
        return [f"{where} is {actual!r}"]
    found = [f"{where} has no {name}" for name in expected.keys() - actual.keys()]
    if isinstance(expected, Only):
        found += [f"{where} has {name}" for name in actual.keys() - expected.keys()]
    for name in expected.keys() & actual.keys():
        found += differences(expected[name], actual[name], f"{where}.{name}")
    return found


async def walk(row: Row, world: World) -> None:
    """Ask what a row asks, and fail where an answer is not what the row says."""
    for step in row.steps:
        if not isinstance(step, Ask):
            await step(world)
            continue
        await world.make_what_is_named_in(step)
        page = await world.ask(step.what, step.body, step.who, step.headers)
        assert page.status == step.status, f"{step.what}: {page.status} {page.response.body}"
        for name, pattern in step.answer_headers.items():
            value = page.response.headers.get(name, "")
            assert re.fullmatch(world.filled(pattern), value), f"{step.what}: {name} is {value}"
        found = differences(world.filled(step.answer), _read(page, step), "the answer")
        assert not found, f"{step.what}: {'; '.join(found)}"


def _read(page: Page, step: Ask) -> Any:
    """The answer as the row speaks of it: nothing, JSON, or the heading of a page."""
    if step.answer is ...:
        return None
    if not page.response.body:
        return None
    if page.response.headers["Content-Type"].startswith("text/html"):
        return page.text("h1")
    return page.json()
