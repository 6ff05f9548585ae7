"""The lock's flash memory: three ways to touch a file, each safe against a power cut.

A journal is a file of JSON lines. A line is there once it ends in a newline, so
a write that was cut short leaves a tail that the next reader throws away. Files
are opened for each write and never held open: a lock has nothing to close when
its power goes.
"""

import errno
import os
from pathlib import Path


def append_line(path: Path, line: bytes) -> None:
    """Add one line, and return only when it would survive a power cut.

    Raises:
        OSError: it could not be written (a full disk); the file is as it was before.
    """
    data = line + b"\n"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(file).st_size
        try:
            if os.write(file, data) != len(data):
                raise OSError(errno.ENOSPC, "no space left for the whole line", str(path))
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            raise
    finally:
        os.close(file)
    if size == 0:
        _sync_directory(path.parent)


def read_lines(path: Path) -> list[bytes]:
    """Read all whole lines; a tail that was not finished is left out.

    A file that is not there has no lines.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    return content[: content.rfind(b"\n") + 1].splitlines()


def repair(path: Path) -> None:
    """Cut off a tail that a power cut left unfinished, so that the next line begins afresh.

    Called once for each file when the lock boots, before anything is added to it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)


def replace_file(path: Path, lines: list[bytes]) -> None:
    """Put a new file in the place of the old one: a reader finds the one or the other, whole.

    Raises:
        OSError: it could not be written; the old file is still there.
    """
    new = path.with_suffix(".new")
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as stream:
        stream.writelines(line + b"\n" for line in lines)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    """Make a name in the directory durable; a file's own fsync does not."""
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
