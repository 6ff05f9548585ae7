"""Everything that a lock keeps when its power goes: one directory of small files.

``reports.jsonl``   reports that wait for an acknowledgement (``report_queue``)
``commands.jsonl``  the last 64 commands and their results (``command_ring``)
``door.jsonl``      every movement of the bolt by command, written before it moves

The door log is the witness in tests and investigations: what it says happened
at the door, happened. It is only ever added to.
"""

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from server.domain.protocol import Command
from simulator import flash
from simulator.command_ring import CommandRing
from simulator.report_queue import CAPACITY, ReportQueue


class Opening(Struct, frozen=True, kw_only=True, rename="camel"):
    """One movement of the bolt, as the door log tells it."""

    command_id: str
    session_id: str
    server_time: datetime
    """The lock's idea of server time at the last look before it moved the bolt."""
    expires_at: str
    boottime: float
    """The machine's ``CLOCK_BOOTTIME`` at that look, for a witness without doubt."""


_openings = msgspec.json.Decoder(Opening)


class DoorLog:
    """The append-only list of openings."""

    def __init__(self, path: Path) -> None:
        flash.repair(path)
        self._path = path

    def write(self, command: Command, server_time: datetime, boottime: float) -> None:
        """Say that the bolt moves now; durable on return, so call it before it does.

        Raises:
            OSError: flash did not take it. The bolt must not move.
        """
        opening = Opening(
            command_id=command.id,
            session_id=command.session_id,
            server_time=server_time,
            expires_at=command.expires_at,
            boottime=boottime,
        )
        flash.append_line(self._path, msgspec.json.encode(opening))

    def read(self) -> list[Opening]:
        """All openings so far, oldest first. May be read while the lock runs."""
        return [_openings.decode(line) for line in flash.read_lines(self._path)]

    def has(self, command_id: str) -> bool:
        return any(opening.command_id == command_id for opening in self.read())


class Journal:
    """One lock's flash, as it was when the lock last lost its power."""

    def __init__(self, directory: Path, capacity: int = CAPACITY) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.reports = ReportQueue(directory / "reports.jsonl", capacity)
        self.commands = CommandRing(directory / "commands.jsonl")
        self.door = DoorLog(directory / "door.jsonl")
