"""A nats-server of our own, for the demo and the tests. It listens on loopback, without a password.

Production names its NATS in ``LATCHKEY_NATS_URL``.
"""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from server.child_process import dying_with_parent, stop

START_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0
_POLL_S = 0.02


class NatsUnavailable(Exception):
    """No nats-server could be started; the message says why and what to do about it."""


class EmbeddedNats:
    """A nats-server that runs."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.url = f"nats://127.0.0.1:{port}"

    async def until_ended(self) -> str:
        """Wait until it has ended; how it did."""
        return f"status {await self._process.wait()}"


@asynccontextmanager
async def embedded_nats(folder: Path) -> AsyncIterator[EmbeddedNats]:
    """Run nats-server on any free port; its log is kept in ``folder``.

    On Linux it also ends with the *thread* that entered here, however that ends.

    Raises:
        NatsUnavailable: it did not start; nothing is left running.
    """
    command = [
        str(find_nats_server()),
        "--addr=127.0.0.1",
        "--port=-1",
        f"--ports_file_dir={folder}",
        f"--log={folder / 'nats.log'}",
    ]
    _make(folder)
    process = await asyncio.create_subprocess_exec(
        *dying_with_parent(command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        # Ctrl-C in the terminal is for whoever started it.
        start_new_session=True,
    )
    try:
        yield EmbeddedNats(process, await _port_of(process, folder))
    finally:
        await stop(process, STOP_LIMIT_S)


def find_nats_server() -> Path:
    """The nats-server of the wheel in ``requirements-demo.txt``, else the one on the path.

    Raises:
        NatsUnavailable: there is neither.
    """
    beside_python = Path(sys.executable).with_name("nats-server")
    if beside_python.is_file():
        return beside_python
    if on_path := shutil.which("nats-server"):
        return Path(on_path)
    raise NatsUnavailable(
        "There is no nats-server here. Install the one that the demo uses with "
        "`pip install -r requirements-demo.txt -c constraints.txt`"
    )


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


async def _port_of(process: asyncio.subprocess.Process, folder: Path) -> int:
    """The port that nats-server listens on, once it does; it writes that into a file."""
    ports = folder / f"nats-server_{process.pid}.ports"
    with suppress(TimeoutError):
        async with asyncio.timeout(START_LIMIT_S):
            while process.returncode is None:
                with suppress(OSError, ValueError, KeyError, IndexError):
                    return _read_port(ports.read_text())
                await asyncio.sleep(_POLL_S)
    raise NatsUnavailable(f"nats-server did not start. See {folder / 'nats.log'}")


def _read_port(written: str) -> int:
    urls: list[str] = json.loads(written)["nats"]
    return int(urls[0].rpartition(":")[2])
