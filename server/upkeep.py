"""What an operator does to the database at a shell: take it to another schema."""

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from server.settings import Settings
from server.shell import reach_mongodb
from server.storage import mongo
from server.storage.migrations import SchemaStore

_CALL_WITHIN_S = 3600.0
"""Half of the documents of a collection may have to change in one call."""


def add_commands(commands: Any) -> None:
    """Add the commands of upkeep to the command line's sub-parsers."""
    migrate = commands.add_parser("migrate", help="take the database to this version's schema")
    migrate.set_defaults(run=_migrate)


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[mongo.Database]:
    async with reach_mongodb(settings) as uri:
        client = mongo.connect(uri, timeout_s=_CALL_WITHIN_S)
        try:
            yield client[settings.mongodb_database]
        finally:
            client.close()


async def _migrate(settings: Settings, _options: argparse.Namespace) -> None:
    async with _database(settings) as database:
        steps = await SchemaStore(database).migrate()
    _say(*(steps or ["there was nothing to do"]))


def _say(*lines: str) -> None:
    """Tell a person; what a program reads goes to standard output."""
    print("\n".join(lines), file=sys.stderr)
