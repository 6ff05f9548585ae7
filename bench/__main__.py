"""Measure this server beside its peers, on real parts, and say what came out.

    ./latchkey bench [--quick] [--locks N] [--rounds N] [--growth N,N…] [--stacks NAME,…] [--to DIR]

Every round visits each stack once, in turn, so that whatever else the machine does meets them all.
Prints a table with the median of the rounds, their spread, and the ratio to this server; leaves
results.json and plots of cost against size in DIR (.latchkey/bench/results without it).
"""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from bench import plots, report
from bench.plan import FULL, QUICK, Plan
from bench.processes import CACHE, PYTHON_PACKAGES, BenchError
from bench.results import Results, describe_machine
from bench.stacks import LATCHKEY, STACKS, Stack, prepare_node
from bench.storage_alone import measure_storage
from bench.visit import Parts, Visited, visit, visit_two_nodes
from server import logs
from server.bus.embedded_nats import embedded_nats
from server.listening import allow_files_for
from server.storage.embedded_mongodb import embedded_mongodb


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 where every scenario worked, whatever it measured."""
    options = _parser().parse_args(arguments)
    logs.configure("json")
    logging.disable(logging.WARNING)
    plan = QUICK if options.quick else FULL
    changed = {
        name: value
        for name in ("locks", "rounds", "growth")
        if (value := getattr(options, name)) is not None
    }
    plan = msgspec.structs.replace(plan, **changed)
    if not PYTHON_PACKAGES.exists():
        print("bench: start it as ./latchkey bench, which fetches the peers", file=sys.stderr)
        return 2
    # Those that are started inherit it.
    allow_files_for(max(plan.locks, *plan.growth, 0))
    try:
        prepare_node()
        results = asyncio.run(_measure(plan, [STACKS[name] for name in options.stacks]))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    print(report.text(results))
    options.to.mkdir(parents=True, exist_ok=True)
    (options.to / "results.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(results), indent=1)
    )
    for plot in plots.draw(results, options.to):
        print(plot)
    for failure in results.failed:
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if results.failed else 0


async def _measure(plan: Plan, stacks: list[Stack]) -> Results:
    visits: list[Visited] = []
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="latchkey-bench-") as name:
        folder = Path(name)
        async with (
            embedded_mongodb(folder / "mongodb") as uri,
            embedded_nats(folder / "nats") as nats,
        ):
            parts = Parts(mongodb_uri=uri, mongod=_mongod(), folder=folder)
            alone = await measure_storage(uri, plan)
            for number in range(1, plan.rounds + 1):
                for stack in stacks:
                    visits.append(await visit(stack, parts, plan, plan.locks, number, _progress))
                if LATCHKEY in stacks:
                    two = await visit_two_nodes(parts, plan, nats.url, number, _progress)
                    visits.append(two)
            if LATCHKEY in stacks:
                for size in plan.growth:
                    try:
                        visits.append(await visit(LATCHKEY, parts, plan, size, 0, _progress))
                    except BenchError as error:  # what was measured so far counts all the same
                        failed.append(f"{size} locks: {error}")
    return Results(
        machine=describe_machine(),
        plan=plan,
        storage_alone=alone,
        visits=visits,
        failed=failed,
    )


def _mongod() -> psutil.Process:
    """The MongoDB that this process has started."""
    children = psutil.Process().children(recursive=True)
    return next(child for child in children if child.name() == "mongod")


def _progress(what: str) -> None:
    print(f"bench: {what}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./latchkey bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="only see that everything works")
    parser.add_argument("--locks", type=int, help="how many locks connect")
    parser.add_argument("--rounds", type=int, help="how often each stack is visited")
    parser.add_argument(
        "--growth", type=_sizes, metavar="N,N…", help="sizes at which this server is visited alone"
    )
    parser.add_argument(
        "--stacks",
        type=_stacks,
        default=list(STACKS),
        metavar="NAME,…",
        help=f"which are measured, of {', '.join(STACKS)}",
    )
    parser.add_argument("--to", type=Path, default=CACHE / "results", metavar="DIR")
    return parser


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(",") if size)


def _stacks(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in STACKS:
            raise argparse.ArgumentTypeError(f"no such stack: {name}")
    return names


if __name__ == "__main__":
    sys.exit(main())
