"""Answers in gzip, for phones with one bar of signal.

Which answers may be compressed, and which may not, says decision 0038.
"""

import functools
import gzip
from pathlib import Path

_LEVEL = 6
_MOST_FILES = 32


def compressed(body: bytes) -> bytes:
    """A body in gzip, without the time of day."""
    return gzip.compress(body, _LEVEL, mtime=0)


def compressed_file(path: str) -> bytes:
    """A file in gzip, compressed once for as long as it stays as it is.

    Raises:
        OSError: it cannot be read.
    """
    return _compressed_version(path, Path(path).stat().st_mtime_ns)


@functools.lru_cache(_MOST_FILES)
def _compressed_version(path: str, _changed_at_ns: int) -> bytes:
    return compressed(Path(path).read_bytes())
