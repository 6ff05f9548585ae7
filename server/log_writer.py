"""Where log lines go: written by a thread, so that a reader who stands still holds nobody up."""

import os
import select
import threading
from collections import deque

import structlog

log = structlog.get_logger(__name__)

MOST_WAITING_BYTES = 4 * 1024 * 1024
"""How much may wait for the reader: some ten thousand lines."""


class LogWriter:
    """A stream for ``logging.StreamHandler`` whose ``write`` returns at once.

    Lines wait in memory for their reader. What does not fit is dropped and counted, and when
    there is room again, a line of its own (``log_lines_dropped``) says how many are missing.
    """

    def __init__(self, file_descriptor: int, most_waiting_bytes: int = MOST_WAITING_BYTES) -> None:
        self._to = file_descriptor
        self._most = most_waiting_bytes
        self._lines: deque[bytes] = deque()
        self._waiting = 0
        self._untold = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """How many lines nobody will read."""

    def write(self, text: str) -> None:
        """Take a line, or drop it where too much waits already."""
        line = text.encode(errors="backslashreplace")
        with self._changed:
            if self._waiting + len(line) > self._most:
                self._drop()
                return
            self._lines.append(line)
            self._waiting += len(line)
            self._changed.notify_all()
            if self._thread is None:
                # It may be stuck in a write for ever, so nobody waits for it.
                self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Nothing: who logs does not wait. See ``finish``."""

    def finish(self, within_s: float) -> None:
        """Wait until all lines are written, at the end; those that are not by then are lost."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting == 0, within_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines)
                line = self._lines.popleft()
            is_written = self._write(line)
            missing = 0
            with self._changed:
                self._waiting -= len(line)
                if not is_written:
                    self._drop()
                elif self._waiting <= self._most // 2:
                    missing, self._untold = self._untold, 0
                self._changed.notify_all()
            if missing:
                log.warning("log_lines_dropped", lines=missing)

    def _drop(self) -> None:
        self.dropped += 1
        self._untold += 1

    def _write(self, line: bytes) -> bool:
        """Write a line, however long that takes; whether that was possible."""
        # Not by sys.stderr: at exit the interpreter would wait for the lock of its buffer.
        while line:
            try:
                line = line[os.write(self._to, line) :]
            except BlockingIOError:  # another program has made our terminal so
                select.select([], [self._to], [])
            except OSError:  # the reader has gone, or the disk is full
                return False
        return True
