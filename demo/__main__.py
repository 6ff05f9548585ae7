"""``python -m demo``: servers, their MongoDB and simulated locks, until Ctrl-C."""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo.children import ChildEnded
from demo.installation import NotReady, Wanted, installation
from demo.ports import NoPort
from demo.report import Page, as_json
from server import logs
from server.bus.embedded_nats import NatsUnavailable
from server.domain.errors import LatchkeyError
from server.environment import read_settings
from server.storage.data_folder import MongodbUnavailable

_CANNOT = (
    ChildEnded,
    NotReady,
    NoPort,
    MongodbUnavailable,
    NatsUnavailable,
    LatchkeyError,
    OSError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo: 0 after Ctrl-C, 1 where it cannot start or go on."""
    options = _parser().parse_args(arguments)
    logs.configure("pretty")
    logging.getLogger().setLevel(logging.WARNING)  # what goes well, the progress lines tell
    try:
        return asyncio.run(_run(options))
    except KeyboardInterrupt:  # before the handlers of _run were there
        return 0
    finally:
        logs.finish()


async def _run(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - for the type checker
    stopping = asyncio.Event()

    def stop() -> None:
        if not stopping.is_set():
            _progress("stopping")
        stopping.set()
        task.cancel()  # again: hurry

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        settings = read_settings()
        with _data_folder(options.data) as folder:
            wanted = Wanted(port=options.port, locks=options.locks, nodes=options.nodes)
            async with installation(settings, folder, wanted, _progress) as demo:
                print(as_json(demo) if options.json else Page(demo, sys.stdout).text(), flush=True)
                await demo.children.until_one_ends()
    except asyncio.CancelledError:
        if not stopping.is_set():
            raise
    except _CANNOT as error:
        print(f"latchkey demo: {error}", file=sys.stderr)
        if isinstance(error, MongodbUnavailable):
            print("(The demo always runs its own MongoDB, in --data DIR.)", file=sys.stderr)
        return 1
    return 0


@contextmanager
def _data_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder to keep, or one that is gone afterwards."""
    if wanted is not None:
        folder = wanted.expanduser().resolve()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(
        prefix="latchkey-demo-", ignore_cleanup_errors=True
    ) as forgotten:
        yield Path(forgotten)


def _progress(text: str) -> None:
    print(f"latchkey demo: {text}", file=sys.stderr, flush=True)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("not a number of locks")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./latchkey demo",
        description="A server, its MongoDB and simulated locks, with links to click. "
        "Ctrl-C stops everything.",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8080,
        metavar="N",
        help="where the server listens (8080); the next free port where that is taken; 0: any",
    )
    parser.add_argument(
        "--locks", type=_count, default=20, metavar="N", help="how many locks there are (20)"
    )
    parser.add_argument(
        "--nodes",
        type=int,
        choices=range(1, 5),
        default=1,
        metavar="N",
        help="how many servers there are, which meet over NATS (1; at most 4)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="keep the data there, and go on with it next time (else nothing is kept)",
    )
    parser.add_argument(
        "--json", action="store_true", help="once all is ready, print one line for scripts"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
