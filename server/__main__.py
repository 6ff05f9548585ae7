"""The command line: serve, and what an operator needs at a shell."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from server import logs
from server.app import make_app, open_services
from server.domain.errors import LatchkeyError
from server.services.provisioning import NewLock
from server.services.registry import Services
from server.settings import Settings, read_settings
from server.storage.embedded_mongodb import MongodbUnavailable, embedded_mongodb

log = structlog.get_logger(__name__)

_MOST_HTTP_BODY_BYTES = 16 * 1024 * 1024
_HEADERS_WITHIN_S = 10.0


class _CannotListen(Exception):
    """The port or the address cannot be had; the message says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that a person can mend are one clear message and exit code 1."""
    options = _parser().parse_args(arguments)
    try:
        settings = read_settings()
        logs.configure(settings.log_format)
        asyncio.run(options.run(settings, options))
    except (LatchkeyError, MongodbUnavailable, _CannotListen) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


@asynccontextmanager
async def _running(settings: Settings) -> AsyncIterator[Services]:
    if settings.mongodb_uri is not None:
        async with open_services(settings, settings.mongodb_uri.reveal()) as services:
            yield services
        return
    async with (
        embedded_mongodb(settings.data_dir) as uri,
        open_services(settings, uri) as services,
    ):
        yield services


async def _serve(settings: Settings, _options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for stopping in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stopping, stop.set)
    try:
        sockets = bind_sockets(settings.port, settings.address)
    except OSError as error:
        where = f"{settings.address}:{settings.port}"
        raise _CannotListen(f"Cannot listen on {where}: {error.strerror}.") from error
    async with _running(settings) as services:
        server = HTTPServer(
            make_app(services),
            xheaders=False,
            max_body_size=_MOST_HTTP_BODY_BYTES,
            idle_connection_timeout=75,
        )
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        log.info("serving", url=f"http://{settings.address}:{port}")
        await stop.wait()
        log.info("stopping")
        server.stop()


async def _create_organization(settings: Settings, options: argparse.Namespace) -> None:
    async with _running(settings) as services:
        _print(options, await services.provisioning.create_organization(options.name))


async def _list_organizations(settings: Settings, options: argparse.Namespace) -> None:
    async with _running(settings) as services:
        for organization in await services.provisioning.list_organizations():
            _print(options, organization)


async def _issue_api_key(settings: Settings, options: argparse.Namespace) -> None:
    async with _running(settings) as services:
        _print(options, {"apiKey": await services.provisioning.issue_api_key(options.org)})


async def _create_lock(settings: Settings, options: argparse.Namespace) -> None:
    wanted = NewLock(name=options.name, time_zone=options.time_zone, id=options.id)
    async with _running(settings) as services:
        lock = await services.provisioning.create_lock(options.org, wanted)
        token = await services.provisioning.issue_device_token(options.org, lock.id)
        _print(options, {"lockId": lock.id, "uuid": lock.uuid, "token": token})


async def _issue_device_token(settings: Settings, options: argparse.Namespace) -> None:
    async with _running(settings) as services:
        token = await services.provisioning.issue_device_token(options.org, options.lock)
        _print(options, {"lockId": options.lock, "token": token})


def _print(options: argparse.Namespace, answer: Any) -> None:
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    if options.json:
        print(json.dumps(fields))
    else:
        print("\n".join(f"{name}: {value}" for name, value in fields.items()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m server", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    commands.add_parser("serve", help="run the server").set_defaults(run=_serve)

    organizations = commands.add_parser("org", help="organisations").add_subparsers(required=True)
    create = _command(organizations, "create", _create_organization, "add an organisation")
    create.add_argument("name")
    _command(organizations, "list", _list_organizations, "list the organisations")

    api_keys = commands.add_parser("key", help="API keys").add_subparsers(required=True)
    issue = _command(api_keys, "issue", _issue_api_key, "issue an API key, shown once")
    issue.add_argument("--org", required=True, help="the organisation's id")

    locks = commands.add_parser("lock", help="locks").add_subparsers(required=True)
    create = _command(locks, "create", _create_lock, "add a lock; its device token is shown once")
    create.add_argument("name")
    create.add_argument("--org", required=True, help="the organisation's id")
    create.add_argument("--time-zone", default="UTC", help="the door's IANA zone (UTC)")
    create.add_argument("--id", type=int, help="the lock's number (the next free one)")
    credential = _command(locks, "credential", _issue_device_token, "replace a device token")
    credential.add_argument("lock", type=int, help="the lock's number")
    credential.add_argument("--org", required=True, help="the organisation's id")
    return parser


def _command(group: Any, name: str, run: Any, said: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = group.add_parser(name, help=said, description=said)
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)
    return command


if __name__ == "__main__":
    sys.exit(main())
