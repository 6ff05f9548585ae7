"""The command line: serve, and what an operator needs at a shell."""

import argparse
import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog

from server import console, logs, service_manager, shell, tracing, upkeep
from server.app import make_app, open_services
from server.domain.errors import LatchkeyError
from server.environment import read_settings
from server.listening import LimitedServer, allow_files_for, listen
from server.reference import reference
from server.services.nodes import process_name
from server.settings import Settings
from server.storage.data_folder import MongodbUnavailable
from server.storage.embedded_mongodb import embedded_mongodb
from server.tls import Certificate

log = structlog.get_logger(__name__)

_MOST_HTTP_BODY_BYTES = 16 * 1024 * 1024
_BODY_WITHIN_S = 30.0
_ANSWERS_WITHIN_S = 5.0
_NEW_OBJECTS_BEFORE_A_LOOK = 10_000


class _CannotListen(Exception):
    """The port or the address cannot be had; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that a person can mend are one clear message and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings()
        logs.configure(settings.log_format)
        try:
            asyncio.run(options.run(settings, options))
        finally:
            logs.finish()
    except (LatchkeyError, MongodbUnavailable, _CannotListen) as error:
        print(console.explained(error), file=sys.stderr)
        return 1
    return 0


@asynccontextmanager
async def _mongodb(settings: Settings) -> AsyncIterator[str]:
    if settings.mongodb_uri is not None:
        yield settings.mongodb_uri.reveal()
    else:
        async with embedded_mongodb(settings.data_dir) as uri:
            yield uri


async def _serve(settings: Settings, _options: argparse.Namespace) -> None:
    with tracing.sent_as_the_environment_says(process_name(settings.node_name, settings.port)):
        await _run_node(settings)


async def _run_node(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for stopping in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stopping, stop.set)
    certificate = _certificate(settings)
    loop.add_signal_handler(signal.SIGHUP, certificate.reload if certificate else stop.set)
    try:
        sockets = listen(settings.port, settings.address)
    except OSError as error:
        where = f"{settings.address}:{settings.port}"
        raise _CannotListen(f"Cannot listen on {where}: {error.strerror}.") from error
    allow_files_for(settings.most_locks)
    unfit: list[LatchkeyError] = []

    def give_up(error: LatchkeyError) -> None:
        unfit.append(error)
        stop.set()

    async with _mongodb(settings) as uri, open_services(settings, uri, give_up) as services:
        server = LimitedServer(
            make_app(services),
            body_timeout=_BODY_WITHIN_S,
            max_body_size=_MOST_HTTP_BODY_BYTES,
            idle_connection_timeout=75,
            ssl_options=certificate.context if certificate else None,
        )
        _spare_collections()
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        scheme = "https" if certificate else "http"
        log.info("serving", url=f"{scheme}://{settings.address}:{port}")
        service_manager.tell("READY=1")
        watchdog = asyncio.create_task(service_manager.give_signs_of_life())
        await stop.wait()
        log.info("stopping")
        service_manager.tell("STOPPING=1")
        await services.drain.run()
        await server.finish(_ANSWERS_WITHIN_S)
    watchdog.cancel()
    if unfit:
        raise unfit[0]


def _spare_collections() -> None:
    """Have Python look for garbage less often, and never in what is there from the start.

    A full look stops everything for a tenth of a millisecond for each lock that is connected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS_BEFORE_A_LOOK)


def _certificate(settings: Settings) -> Certificate | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return Certificate(settings.tls_certificate, settings.tls_key)


async def _reference(_settings: Settings, _options: argparse.Namespace) -> None:
    print(reference(), end="")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m server", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("serve", help="run the server").set_defaults(run=_serve)
    commands.add_parser(
        "reference", help="print docs/reference.md: every setting, every reason"
    ).set_defaults(run=_reference)
    shell.add_commands(commands)
    upkeep.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
