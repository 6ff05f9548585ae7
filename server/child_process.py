"""Children that do not outlive their parent, however that ends."""

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

# Linux kills a process together with its parent only if the process asks for
# it. A Python of its own asks, and then becomes the command: to ask between
# fork and exec (preexec_fn) may deadlock in a program that has threads.
_ASK = """\
import os, signal, sys
parent, *command = sys.argv[1:]
if sys.platform == "linux":
    import ctypes
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent died first")
try:
    os.execv(command[0], command)
except OSError as error:
    sys.exit(f"{command[0]}: {error}")
"""


def dying_with_parent(command: Sequence[str]) -> list[str]:
    """``command`` (a program's path, and its arguments) as a child that dies with this process.

    On Linux the kernel kills it when the *thread* that starts it ends, so start it from
    one that lives as long as the child should. Elsewhere this only runs the command.
    """
    return [sys.executable, "-I", "-S", "-c", _ASK, str(os.getpid()), *command]


async def stop(process: asyncio.subprocess.Process, within_s: float) -> None:
    """Have a child end; it is killed after ``within_s``, or at once when this is cancelled."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), within_s)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
