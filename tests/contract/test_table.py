"""The contract, row by row: each fact of its sections 0 to 6 and each decision, by real HTTP."""

from collections.abc import Iterator

import pytest
from msgspec import structs
from tornado.ioloop import IOLoop

from server.settings import Secret, Settings
from server.storage.mongo import Database
from tests.contract import (
    rows_conventions,
    rows_decisions,
    rows_guests,
    rows_locks,
    rows_temp_keys,
)
from tests.contract.table import Row, walk
from tests.contract.world import World
from tests.house import House

ROWS = [
    *rows_conventions.ROWS,
    *rows_temp_keys.ROWS,
    *rows_guests.ROWS,
    *rows_locks.ROWS,
    *rows_decisions.ROWS,
]
DECIDED = [
    "errors",
    "JSON or page",
    "offline",
    "auth",
    "JWT",
    "window",
    "uses",
    "revoke",
    "door ids",
    "PIN",
    "opening while offline",
    "repeated open",
    "GET never acts",
    "paging",
]
"""The decisions of Part 2; those on API keys and on the streams of events are rows of the
sections 0 and 6."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of every test, with PINs."""
    return structs.replace(settings, pin_secret=Secret("a secret for the PINs of these tests"))


@pytest.fixture
def world(io_loop: IOLoop, house: House, database: Database) -> Iterator[World]:
    world = io_loop.run_sync(lambda: World.of(house, database))
    yield world
    io_loop.run_sync(world.close)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
async def test_the_contract_holds(world: World, row: Row) -> None:
    await walk(row, world)


def test_every_section_has_rows_and_every_row_says_something_of_its_own() -> None:
    assert {row.section for row in ROWS} >= {*"0123456", *DECIDED}
    assert len({row.id for row in ROWS}) == len(ROWS)
