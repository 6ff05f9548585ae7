"""``python -m simulator``: one lock, or a fleet, until Ctrl-C.

    python -m simulator --url http://127.0.0.1:8080 --lock 17 --token-file token
    python -m simulator --url http://127.0.0.1:8080 --fleet fleet.json --faults drop=0.01
    python -m simulator --url http://127.0.0.1:8080 --locks 500 --api-key-file key --state locks

The last makes the locks that are missing over the server's REST API, and keeps their
tokens in ``locks/fleet.json``, which is such a fleet file: the next run goes on with them.

Tokens and keys come from files or standard input, never from the command line, where
every user of the machine could read them.
"""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from pathlib import Path

from simulator.backoff import CAP_S
from simulator.door import DoorTimes
from simulator.enrolment import Enrolment
from simulator.faults import Faults
from simulator.fleet import FleetMember, build_locks, read_fleet, run_fleet
from simulator.options import LockOptions
from simulator.powered_lock import PoweredLock


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the exit status (2: it makes no sense)."""
    parser = _parser()
    args = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with tempfile.TemporaryDirectory(prefix="latchkey-locks-") as forgotten:
        state_dir = Path(args.state or forgotten)
        try:
            locks = build_locks(_members(args), args.url, state_dir, _options(args))
        except (OSError, ValueError) as error:
            parser.error(str(error))
        asyncio.run(_run(locks))
    return 0


async def _run(locks: list[PoweredLock]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await run_fleet(locks, stop)


def _members(args: argparse.Namespace) -> list[FleetMember]:
    if args.fleet is not None:
        return read_fleet(args.fleet)[: args.locks]
    if args.api_key_file is not None:
        if args.locks is None or args.state is None:
            raise ValueError("--api-key-file needs --locks and --state")
        fleet_file = Path(args.state) / "fleet.json"
        fleet_file.parent.mkdir(parents=True, exist_ok=True)
        return Enrolment(args.url, _secret_in(args.api_key_file)).fill(fleet_file, args.locks)
    if args.token_file is None:
        raise ValueError("--lock needs --token-file")
    return [FleetMember(lock_id=args.lock, token=_secret_in(args.token_file))]


def _secret_in(path: str) -> str:
    secret = Path(path).read_text().strip()
    if not secret:
        raise ValueError(f"{path} is empty")
    return secret


def _options(args: argparse.Namespace) -> LockOptions:
    return LockOptions(
        times=DoorTimes(bolt_s=args.bolt_seconds),
        telemetry_every_s=args.telemetry_every or None,
        reconnect_cap_s=args.reconnect_cap,
        faults=Faults.parse(args.faults),
        seed=args.seed,
    )


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text!r}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"not a number of locks: {text!r}")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Simulated locks.")
    parser.add_argument("--url", required=True, help="the server, e.g. http://127.0.0.1:8080")
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--lock", type=int, metavar="ID", help="run this one lock")
    who.add_argument(
        "--fleet",
        metavar="FILE",
        help='JSON list of {"lockId", "token", "name"?, "battery"?, "jammed"?, "offlineFor"?,'
        ' "faults"?}; - is standard input',
    )
    who.add_argument(
        "--api-key-file",
        metavar="FILE",
        help="an organisation's API key: make its --locks where they are missing",
    )
    parser.add_argument("--token-file", metavar="FILE", help="the device token for --lock")
    parser.add_argument("--locks", type=_count, metavar="N", help="the first N of the fleet")
    parser.add_argument(
        "--state", metavar="DIR", help="keep the journals, and tokens that were issued, here"
    )
    parser.add_argument(
        "--faults", default="", metavar="WORDS", help="e.g. drop=0.01,stall=0.001:20 (see faults)"
    )
    parser.add_argument(
        "--telemetry-every", type=_seconds, default=60.0, metavar="S", help="0: never"
    )
    parser.add_argument("--bolt-seconds", type=_seconds, default=DoorTimes.bolt_s, metavar="S")
    parser.add_argument("--reconnect-cap", type=_seconds, default=CAP_S, metavar="S")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    return parser


if __name__ == "__main__":
    sys.exit(main())
