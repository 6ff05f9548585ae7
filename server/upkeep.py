"""What an operator does to the database at a shell: migrate it, move it, back it up."""

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from server.console import reach_mongodb
from server.domain.database_errors import BadArchive
from server.settings import Settings
from server.storage import mongo
from server.storage.archive import ArchiveReader
from server.storage.archive_import import Archive, ArchiveWriter
from server.storage.migrations import SchemaStore

_CALL_WITHIN_S = 3600.0
"""Half of the documents of a collection may have to change in one call."""


def add_commands(commands: Any) -> None:
    """Add the commands of upkeep to the command line's sub-parsers."""
    migrate = commands.add_parser("migrate", help="take the database to this version's schema")
    migrate.set_defaults(run=_migrate)
    export = commands.add_parser("export", help="write an organisation to standard output")
    export.add_argument("org", help="the organisation's id")
    export.set_defaults(run=_export)
    backup = commands.add_parser("backup", help="write everything to standard output")
    backup.set_defaults(run=_back_up)
    for name, said in (
        ("import", "take in an organisation that was exported; the database has no other"),
        ("restore", "take in a backup; the database is empty"),
    ):
        take_in = commands.add_parser(name, help=said)
        take_in.add_argument("file", type=Path, help="the file (.gz: compressed)")
        take_in.set_defaults(run=_take_in, of_everything=name == "restore")


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


async def _export(settings: Settings, options: argparse.Namespace) -> None:
    async with _database(settings) as database:
        await SchemaStore(database).check()
        await _write(await ArchiveReader(database).organization(options.org))


async def _back_up(settings: Settings, _options: argparse.Namespace) -> None:
    async with _database(settings) as database:
        await _write(await ArchiveReader(database).everything())


async def _write(lines: AsyncIterator[bytes]) -> None:
    async for line in lines:
        sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


async def _take_in(settings: Settings, options: argparse.Namespace) -> None:
    try:
        archive = Archive(options.file)
    except (OSError, EOFError) as error:
        raise BadArchive(f"{options.file}: {error}") from error
    if (archive.org_id is None) != options.of_everything:
        raise BadArchive("line 1: organization: `import` takes one in, `restore` everything")
    async with _database(settings) as database:
        written = await ArchiveWriter(database).write(archive)
    _say(f"{written} documents are there now")


def _say(*lines: str) -> None:
    """Tell a person; what a program reads goes to standard output."""
    print("\n".join(lines), file=sys.stderr)
