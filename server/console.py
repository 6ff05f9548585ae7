"""What commands at a shell share: how they are declared, reach MongoDB and are answered."""

import argparse
import json
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import msgspec

from server.domain.errors import LockNotFound, OrganizationNotFound, StorageUnavailable
from server.domain.times import wire_time
from server.settings import Settings
from server.storage.data_folder import DataFolderInUse
from server.storage.embedded_mongodb import embedded_mongodb, uri_of_running_mongodb

Run = Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, None]]


def command(group: Any, name: str, run: Run, said: str) -> argparse.ArgumentParser:
    """Add a command to a group; its answer is JSON where that is asked for."""
    added: argparse.ArgumentParser = group.add_parser(name, help=said, description=said)
    added.add_argument("--json", action="store_true", help="print JSON")
    added.set_defaults(run=run)
    return added


def from_to(least: float, most: float, kind: Callable[[str], float] = float) -> Any:
    """A type of arguments: numbers within limits."""

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            limits = f"{least:.10g} to {most:.10g}"
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {limits}")
        return number

    return read


@asynccontextmanager
async def reach_mongodb(settings: Settings) -> AsyncIterator[str]:
    """The URI of the settings' MongoDB, or of the server's own: running, or started for this.

    Raises:
        MongodbUnavailable: it did not start.
    """
    if settings.mongodb_uri is not None:
        yield settings.mongodb_uri.reveal()
        return
    running = embedded_mongodb(settings.data_dir)
    try:
        uri = await running.__aenter__()
    except DataFolderInUse:
        yield uri_of_running_mongodb(settings.data_dir)
        return
    try:
        yield uri
    finally:
        await running.__aexit__(None, None, None)


def print_all(options: argparse.Namespace, answers: Iterable[Any]) -> None:
    """Print each on a line of its own as JSON, or as a block of lines for a person."""
    for number, answer in enumerate(answers):
        if number and not options.json:
            print()
        print_answer(options, answer)


def print_answer(options: argparse.Namespace, answer: Any) -> None:
    """Print one as a line of JSON, or as a block of lines for a person."""
    fields: dict[str, Any] = msgspec.to_builtins(answer, builtin_types=(datetime,))
    fields = {
        name: wire_time(value) if isinstance(value, datetime) else value
        for name, value in fields.items()
    }
    if options.json:
        print(json.dumps(fields, ensure_ascii=False))
    else:
        print("\n".join(f"{name}: {value}" for name, value in fields.items() if value is not None))


def explained(error: Exception) -> str:
    """What went wrong, for whoever typed the command; they may know what is missing."""
    match error:
        case OrganizationNotFound():
            return "There is no organisation with this id; `org list` shows those that there are."
        case LockNotFound():
            return "The organisation has no such lock; `lock list` shows those that it has."
        case StorageUnavailable(__cause__=cause):
            return f"{error}\n{cause}"
        case _:
            return str(error)
