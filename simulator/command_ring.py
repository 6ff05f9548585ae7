"""The last 64 commands and what became of them, on flash.

This is what makes a repeated command harmless: its id is on flash before the
bolt moves, so even a lock that loses its power at that very instant knows
afterwards that it must not act again.

The file, ``commands.jsonl``, grows by a line whenever something becomes known
about a command; the last line of an id is what counts:

    {"id":"c-1","status":"accepted","at":"2026-11-23T08:00:00.000Z"}
    {"id":"c-1","status":"opened","at":"2026-11-23T08:00:00.800Z"}
"""

import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct, structs

from server.domain.protocol import REMEMBERED_COMMANDS, Result, ResultStatus
from simulator import flash

_log = logging.getLogger(__name__)


class RememberedCommand(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One command of the ring."""

    id: str
    status: ResultStatus
    at: datetime
    reason: str | None = None
    told: bool = False
    """The server is known to have the final result: it need not be sent again."""

    @property
    def is_final(self) -> bool:
        return self.status is not ResultStatus.ACCEPTED

    def result(self) -> Result:
        """The frame that says what became of this command."""
        return Result(command_id=self.id, status=self.status, at=self.at, reason=self.reason)


_entries = msgspec.json.Decoder(RememberedCommand)


class CommandRing:
    """Remembers the last ``size`` commands across reboots, oldest first."""

    def __init__(self, path: Path, size: int = REMEMBERED_COMMANDS) -> None:
        self._path = path
        self._size = size
        self._entries: dict[str, RememberedCommand] = {}
        flash.repair(path)
        lines = flash.read_lines(path)
        self._lines = len(lines)
        for line in lines:
            try:
                self._keep(_entries.decode(line))
            except msgspec.MsgspecError as error:
                # What the other lines say is still true, and still worth having.
                _log.warning("%s has a line that cannot be read: %s", path, error)

    def get(self, command_id: str) -> RememberedCommand | None:
        return self._entries.get(command_id)

    def remember(self, entry: RememberedCommand) -> None:
        """Store what is now known about a command; durable on return.

        Raises:
            OSError: flash did not take it, and the lock must not act on the command.
                It is still remembered until the next reboot.
        """
        self._keep(entry)
        flash.append_line(self._path, msgspec.json.encode(entry))
        self._lines += 1
        if self._lines > 4 * self._size:
            flash.replace_file(self._path, [msgspec.json.encode(entry) for entry in self])
            self._lines = len(self._entries)

    def mark_told(self, command_id: str) -> None:
        """The server has the final result of this command."""
        entry = self._entries.get(command_id)
        if entry is not None and not entry.told:
            self.remember(structs.replace(entry, told=True))

    def unfinished(self) -> list[RememberedCommand]:
        """Commands that were accepted and have no final result."""
        return [entry for entry in self if not entry.is_final]

    def untold(self) -> list[RememberedCommand]:
        """Commands whose final result the server may not have."""
        return [entry for entry in self if entry.is_final and not entry.told]

    def __iter__(self) -> Iterator[RememberedCommand]:
        return iter(list(self._entries.values()))

    def __len__(self) -> int:
        return len(self._entries)

    def _keep(self, entry: RememberedCommand) -> None:
        self._entries[entry.id] = entry  # a known id keeps its place
        while len(self._entries) > self._size:
            del self._entries[next(iter(self._entries))]
