"""The folder of a MongoDB of our own: one process at a time uses it."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

OR_ELSE = "or set LATCHKEY_MONGODB_URI to a MongoDB of your own."

_HANDOVER_LIMIT_S = 3.0
"""How long to wait for a data folder whose last owner may be just going away."""

_POLL_S = 0.02
_DISK_NEEDED_BYTES = 64 * 1024 * 1024


class MongodbUnavailable(Exception):
    """No MongoDB could be started; the message says why and what to do about it."""


class DataFolderInUse(MongodbUnavailable):
    """Another process runs a mongod on this data folder."""


@asynccontextmanager
async def hold(data_dir: Path) -> AsyncIterator[int]:
    """Make the folder and keep everybody else out of it; gives the lock's descriptor.

    mongod inherits the descriptor, so the folder stays held until both are
    gone, and no crash leaves a stale lock.
    """
    if sys.platform == "win32":
        raise MongodbUnavailable(
            f"MongoDB is started only on Linux and macOS. Use one of them (or WSL), {OR_ELSE}"
        )
    with folder_errors(data_dir):
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
        raise disk_full(data_dir)  # mongod would start, and fail later, with no room to say why
    return os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)


async def _take(lock: int, data_dir: Path) -> None:
    clock = asyncio.get_running_loop().time
    give_up_at = clock() + _HANDOVER_LIMIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock() > give_up_at:
                raise in_use(data_dir, os.pread(lock, 20, 0).decode()) from None
            await asyncio.sleep(_POLL_S)
        else:
            break
    with folder_errors(data_dir):
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)


@contextmanager
def folder_errors(data_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MongodbUnavailable(
            f"The data folder {data_dir} cannot be used: {error.strerror}. "
            f"Make room there, give another folder in LATCHKEY_DATA, {OR_ELSE}"
        ) from error


def in_use(data_dir: Path, owner: str) -> DataFolderInUse:
    by = f"process {owner}" if owner else "another process"
    return DataFolderInUse(
        f"The data folder {data_dir} is in use by {by}. "
        f"Stop that first, give another folder in LATCHKEY_DATA, {OR_ELSE}"
    )


def disk_full(data_dir: Path) -> MongodbUnavailable:
    return MongodbUnavailable(
        f"The disk of the data folder {data_dir} is full. "
        f"Make room there, give another folder in LATCHKEY_DATA, {OR_ELSE}"
    )
