"""What happened at the doors, by the locks' own journals, held against what the server says."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import msgspec
from msgspec import Struct

from server.domain.commands import SHOWN_AS_FINAL, CommandState
from server.domain.times import parse_wire_time
from server.storage.mongo import Database, Document
from simulator import flash
from simulator.journal import Opening
from tests.faults.processes import IssuedKey

_MAY_HAVE_OPENED = [
    CommandState.OPENED.value,
    CommandState.FAILED.value,
    CommandState.UNCONFIRMED.value,
]

StoredReports: TypeAlias = Mapping[tuple[int, str], Counter[int]]
"""How often each number of a lock's epoch is stored."""


class Faults(Struct, frozen=True, kw_only=True):
    """What must not happen, and how often it did."""

    late_openings: int
    double_openings: int
    openings_without_a_claim: int
    reports_missing: int
    reports_stored_twice: int
    keys_with_a_wrong_count: int
    keys_used_too_often: int
    commands_without_an_outcome: int


class Verdict(Struct, frozen=True, kw_only=True):
    """The figures of a soak."""

    openings: int
    reports_stored: int
    seconds_to_spare: float
    """How long before its command's expiry the latest of the openings began."""
    faults: Faults


class Numbers(Struct, frozen=True):
    """Up to which number a lock has numbered its reports."""

    lock_id: int
    epoch: str
    last_seq: int


def numbers_given_out(journals: Path) -> list[Numbers]:
    """How far every lock has numbered its reports by now; they go on to make more."""
    found: list[Numbers] = []
    for folder in journals.glob("lock-*"):
        first, *reports = flash.read_lines(folder / "reports.jsonl")
        numbering = msgspec.json.decode(first, type=_Numbering)
        last = [msgspec.json.decode(line, type=_Numbered).seq for line in reports[-1:]]
        found.append(Numbers(_lock_id(folder), numbering.epoch, max([numbering.last_seq, *last])))
    return found


async def reach_verdict(
    database: Database,
    journals: Path,
    numbers: Sequence[Numbers],
    taps: Mapping[str, IssuedKey],
    keys: Mapping[IssuedKey, int | None],
) -> Verdict:
    """Hold the locks' journals against the database, once everything has come to rest.

    ``numbers`` are the reports that must be stored, ``taps`` the commands that guests asked
    for; ``keys`` says how often each may be used.
    """
    openings = _openings(journals)
    times = Counter(opening.command_id for _, opening in openings)
    commands = {
        document["_id"]: document
        async for document in database["commands"].find({"_id": {"$in": list(times)}})
    }
    to_spare_s = [_seconds_to_spare(opening) for _, opening in openings]
    stored = await _stored_reports(database)
    used = await _uses(database)
    may_have_opened = await _commands_that_may_have_opened(database)
    faults = Faults(
        late_openings=sum(spare_s < 0 for spare_s in to_spare_s),
        double_openings=sum(count - 1 for count in times.values()),
        openings_without_a_claim=sum(
            not _was_claimed(opening, lock_id, commands, taps) for lock_id, opening in openings
        ),
        reports_missing=sum(_missing(up_to, stored) for up_to in numbers),
        reports_stored_twice=sum(count - 1 for seqs in stored.values() for count in seqs.values()),
        keys_with_a_wrong_count=sum(
            used[key.uuid] != may_have_opened.get(key.uuid, 0) for key in keys
        ),
        keys_used_too_often=sum(
            most is not None and used[key.uuid] > most for key, most in keys.items()
        ),
        commands_without_an_outcome=await _commands_without_an_outcome(database),
    )
    return Verdict(
        openings=len(openings),
        reports_stored=sum(seqs.total() for seqs in stored.values()),
        seconds_to_spare=round(min(to_spare_s), 3),
        faults=faults,
    )


async def all_has_come_to_rest(database: Database, numbers: Sequence[Numbers]) -> bool:
    """Whether all locks are online, all commands are over, and ``numbers`` are stored."""
    online = await database["locks"].count_documents({"connection.online": True})
    if online < len(numbers) or await _commands_without_an_outcome(database):
        return False
    if await _uses_to_give_back(database):
        return False
    stored = await _stored_reports(database)
    return not any(_missing(up_to, stored) for up_to in numbers)


class _Numbering(Struct, rename="camel"):
    epoch: str
    last_seq: int


class _Numbered(Struct):
    seq: int


def _openings(journals: Path) -> list[tuple[int, Opening]]:
    """Every movement of every bolt, with its lock."""
    return [
        (_lock_id(folder), msgspec.json.decode(line, type=Opening))
        for folder in journals.glob("lock-*")
        for line in flash.read_lines(folder / "door.jsonl")
    ]


def _lock_id(folder: Path) -> int:
    return int(folder.name.removeprefix("lock-"))


def _seconds_to_spare(opening: Opening) -> float:
    """How long before the command's expiry the bolt moved, by the one clock of this machine."""
    booted_at = datetime.now(UTC) - timedelta(seconds=time.clock_gettime(time.CLOCK_BOOTTIME))
    moved_at = booted_at + timedelta(seconds=opening.boottime)
    return (parse_wire_time(opening.expires_at) - moved_at).total_seconds()


def _was_claimed(
    opening: Opening,
    lock_id: int,
    commands: Mapping[str, Document],
    taps: Mapping[str, IssuedKey],
) -> bool:
    """Whether a guest had tapped for it, with that key, at that lock, and a use was counted."""
    command = commands.get(opening.command_id)
    tapped = taps.get(opening.command_id)
    return (
        command is not None
        and tapped is not None
        and command["tempKeyUuid"] == tapped.uuid
        and command["lockId"] == lock_id
        and command["state"] in _MAY_HAVE_OPENED
    )


def _missing(up_to: Numbers, stored: StoredReports) -> int:
    """How many of a lock's reports are not stored: their numbers run from 1 without a gap."""
    there = stored.get((up_to.lock_id, up_to.epoch), Counter())
    return sum(seq not in there for seq in range(1, up_to.last_seq + 1))


async def _stored_reports(database: Database) -> StoredReports:
    pipeline: Sequence[Document] = [
        {"$group": {"_id": {"lockId": "$lockId", "epoch": "$epoch"}, "seqs": {"$push": "$seq"}}}
    ]
    return {
        (group["_id"]["lockId"], group["_id"]["epoch"]): Counter(group["seqs"])
        async for group in database["reports"].aggregate(pipeline)
    }


async def _commands_without_an_outcome(database: Database) -> int:
    outcomes = [state.value for state in SHOWN_AS_FINAL]
    return await database["commands"].count_documents({"state": {"$nin": outcomes}})


async def _uses_to_give_back(database: Database) -> int:
    """How many uses are counted that were not: a node that died on the way left them to a sweep."""
    pipeline: Sequence[Document] = [
        {"$unwind": "$claims"},
        {
            "$lookup": {
                "from": "commands",
                "localField": "claims.commandId",
                "foreignField": "_id",
                "as": "command",
            }
        },
        {"$match": {"command.state": {"$nin": _MAY_HAVE_OPENED}}},
    ]
    return len([claim async for claim in database["tempKeys"].aggregate(pipeline)])


async def _uses(database: Database) -> dict[str, int]:
    return {key["_id"]: key["usedCount"] async for key in database["tempKeys"].find()}


async def _commands_that_may_have_opened(database: Database) -> dict[str, int]:
    """How many commands of each key opened its door, or may have."""
    pipeline: Sequence[Document] = [
        {"$match": {"state": {"$in": _MAY_HAVE_OPENED}}},
        {"$group": {"_id": "$tempKeyUuid", "count": {"$sum": 1}}},
    ]
    return {
        group["_id"]: group["count"] async for group in database["commands"].aggregate(pipeline)
    }
