"""Many locks in one process, from a file that says who they are."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from simulator.faults import Faults
from simulator.options import LockOptions
from simulator.powered_lock import PoweredLock

_STARTS_A_SECOND = 100


class FleetMember(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """One lock of the file: ``{"lockId": 17, "token": "…", "name": "Front door"}``."""

    lock_id: int
    token: Annotated[str, Meta(min_length=1)]
    name: str = ""
    battery: Annotated[float, Meta(ge=0, le=100)] | None = None
    jammed: bool = False
    offline_for: Annotated[float, Meta(ge=0)] = 0.0
    """Seconds before the lock first connects."""
    faults: str | None = None
    """In place of those of the whole fleet, as ``--faults`` writes them."""

    def __repr__(self) -> str:
        return f"FleetMember(lock_id={self.lock_id}, name={self.name!r})"  # never the token


def read_fleet(path: str) -> list[FleetMember]:
    """Read a fleet file; ``-`` is standard input.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a list of locks; the message says where.
    """
    content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        members = msgspec.json.decode(content, type=list[FleetMember])
    except msgspec.DecodeError as error:
        raise ValueError(f"the fleet file is not a list of locks: {error}") from error
    ids = [member.lock_id for member in members]
    if len(set(ids)) < len(ids):
        raise ValueError("the fleet file names a lock twice")
    return members


def build_locks(
    members: Sequence[FleetMember], url: str, state_dir: Path, options: LockOptions
) -> list[PoweredLock]:
    """Make the locks; what a member says of itself goes before ``options``.

    Raises:
        ValueError: a member's faults or the address make no sense.
    """
    return [
        PoweredLock(member.lock_id, url, member.token, state_dir, _options_of(member, options))
        for member in members
    ]


def _options_of(member: FleetMember, options: LockOptions) -> LockOptions:
    faults = options.faults if member.faults is None else Faults.parse(member.faults)
    return replace(
        options,
        name=member.name,
        battery=member.battery,
        jammed=member.jammed,
        offline_for_s=member.offline_for,
        faults=faults,
    )


async def run_fleet(locks: Sequence[PoweredLock], stop: asyncio.Event) -> None:
    """Switch all locks on, one after the other, and off again, once ``stop`` is set.

    Raises:
        Exception: a lock broke down, which is a bug; the others were switched off all the same.
    """
    try:
        for lock in locks:
            if stop.is_set():
                break
            lock.start()
            await asyncio.sleep(1 / _STARTS_A_SECOND)
        await stop.wait()
    finally:
        ended = await asyncio.gather(*(lock.disconnect() for lock in locks), return_exceptions=True)
    for failure in ended:
        if isinstance(failure, BaseException):
            raise failure
