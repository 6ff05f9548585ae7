"""What an operator does at a shell: organisations, API keys, locks and temp keys."""

import argparse
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import segno

from server import clock
from server.app import open_administration
from server.console import command, from_to, print_all, print_answer, reach_mongodb
from server.domain.brand import BrandUpdate
from server.domain.errors import InvalidInput
from server.domain.organizations import Operator
from server.domain.temp_keys import LONGEST_WINDOW, NewDoor, NewTempKey
from server.services.provisioning import NewLock
from server.services.registry import Services
from server.settings import Settings


def add_commands(commands: Any) -> None:
    """Add the administration commands to the command line's sub-parsers."""
    _add_organization_commands(commands)
    _add_api_key_commands(commands)
    _add_lock_commands(commands)
    _add_temp_key_commands(commands)


def _add_organization_commands(commands: Any) -> None:
    group = commands.add_parser("org", help="organisations").add_subparsers(required=True)
    create = command(group, "create", _create_organization, "add an organisation")
    create.add_argument("name", type=_name)
    command(group, "list", _list_organizations, "list the organisations")
    brand = command(group, "brand", _brand_organization, "set what guests see of an organisation")
    brand.add_argument("org", help="the organisation's id")
    brand.add_argument("--name")
    brand.add_argument("--accent-color", help="of the buttons: #0b5fd0")
    brand.add_argument("--phone", help="whom guests call")
    brand.add_argument("--email", help="whom guests write to")
    brand.add_argument("--logo", type=Path, help="a PNG, WebP or JPEG of at most 24 KiB")


def _add_api_key_commands(commands: Any) -> None:
    group = commands.add_parser("key", help="API keys").add_subparsers(required=True)
    issue = command(group, "issue", _issue_api_key, "issue an API key, shown only this once")
    issue.add_argument(
        "--expires-in-days", type=from_to(0.001, 3650), help="good for so long (for good)"
    )
    rotate = command(group, "rotate", _rotate_api_key, "issue an API key in place of the others")
    rotate.add_argument(
        "--overlap-minutes",
        type=from_to(0, 60 * 24 * 365),
        default=0,
        help="how long the others stay good (0)",
    )
    revoke = command(group, "revoke", _revoke_api_keys, "end all API keys at once")
    listing = command(group, "list", _list_api_keys, "list the API keys that are good, masked")
    for added in (issue, rotate, revoke, listing):
        whose = added.add_mutually_exclusive_group(required=True)
        whose.add_argument("--org", help="the organisation's id")
        whose.add_argument("--super", action="store_true", help="the key to all organisations")


def _add_lock_commands(commands: Any) -> None:
    group = commands.add_parser("lock", help="locks").add_subparsers(required=True)
    create = command(group, "create", _create_lock, "add a lock; its token is shown only once")
    create.add_argument("name", type=_name)
    create.add_argument("--time-zone", default="UTC", help="the door's IANA zone (UTC)")
    create.add_argument("--id", type=int, help="the lock's number (the next free one)")
    listing = command(group, "list", _list_locks, "list the locks")
    credential = command(group, "credential", _issue_device_token, "replace a device token")
    credential.add_argument("lock", type=int, help="the lock's number")
    for added in (create, listing, credential):
        added.add_argument("--org", required=True, help="the organisation's id")


def _add_temp_key_commands(commands: Any) -> None:
    group = commands.add_parser("temp-key", help="temp keys").add_subparsers(required=True)
    create = command(group, "create", _create_temp_key, "issue a temp key: a link and a QR code")
    create.add_argument("--org", required=True, help="the organisation's id")
    create.add_argument("--lock", type=int, action="append", required=True, help="again for more")
    create.add_argument(
        "--hours",
        type=from_to(0.01, LONGEST_WINDOW / timedelta(hours=1)),
        default=24,
        help="valid from now for so long (24)",
    )
    create.add_argument(
        "--uses", type=from_to(1, 2**31 - 1, int), help="how often it opens (as often as wanted)"
    )
    create.add_argument(
        "--url", default="http://127.0.0.1:8080", help="where guests reach the server"
    )


def _name(text: str) -> str:
    if not 1 <= len(text.strip()) <= 200:
        raise argparse.ArgumentTypeError("a name has 1 to 200 characters")
    return text


@asynccontextmanager
async def _administration(settings: Settings) -> AsyncIterator[Services]:
    async with (
        reach_mongodb(settings) as uri,
        open_administration(settings, uri) as services,
    ):
        yield services


async def _create_organization(settings: Settings, options: argparse.Namespace) -> None:
    async with _administration(settings) as services:
        print_answer(options, await services.provisioning.create_organization(options.name))


async def _list_organizations(settings: Settings, options: argparse.Namespace) -> None:
    async with _administration(settings) as services:
        print_all(options, await services.provisioning.list_organizations())


async def _brand_organization(settings: Settings, options: argparse.Namespace) -> None:
    said = {
        "name": options.name,
        "accentColor": options.accent_color,
        "phone": options.phone,
        "email": options.email,
        "logo": None if options.logo is None else options.logo.read_bytes(),
    }
    given = {name: value for name, value in said.items() if value is not None}
    try:
        wanted = msgspec.convert(given, BrandUpdate, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise InvalidInput("", str(error)) from error
    async with _administration(settings) as services:
        organization = await services.organizations.find(options.org)
        changed = await services.organizations.change(organization, wanted)
        print_answer(options, changed)


async def _issue_api_key(settings: Settings, options: argparse.Namespace) -> None:
    days = options.expires_in_days
    expires_at = None if days is None else clock.now() + timedelta(days=days)
    async with _administration(settings) as services:
        secret = await services.provisioning.issue_api_key(options.org, expires_at)
        print_answer(options, {"apiKey": secret})


async def _rotate_api_key(settings: Settings, options: argparse.Namespace) -> None:
    overlap = timedelta(minutes=options.overlap_minutes)
    async with _administration(settings) as services:
        secret = await services.provisioning.rotate_api_key(options.org, overlap)
        print_answer(options, {"apiKey": secret})


async def _revoke_api_keys(settings: Settings, options: argparse.Namespace) -> None:
    async with _administration(settings) as services:
        count = await services.provisioning.revoke_api_keys(options.org)
        print_answer(options, {"revoked": count})


async def _list_api_keys(settings: Settings, options: argparse.Namespace) -> None:
    async with _administration(settings) as services:
        keys = await services.provisioning.list_api_keys(options.org)
        print_all(
            options,
            (
                {
                    "apiKey": key.masked,
                    "createdAt": key.created_at,
                    "expiresAt": key.expires_at,
                    "revokedAt": key.revoked_at,
                }
                for key in keys
            ),
        )


async def _create_lock(settings: Settings, options: argparse.Namespace) -> None:
    wanted = NewLock(name=options.name, time_zone=options.time_zone, id=options.id)
    async with _administration(settings) as services:
        provisioning = services.provisioning
        lock = await provisioning.create_lock(options.org, wanted)
        token = await provisioning.issue_device_token(options.org, lock.id)
        print_answer(options, {"lockId": lock.id, "uuid": lock.uuid, "token": token})


async def _list_locks(settings: Settings, options: argparse.Namespace) -> None:
    async with _administration(settings) as services:
        locks = await services.provisioning.list_locks(options.org)
        print_all(
            options,
            (
                {"lockId": lock.id, "name": lock.name, "online": lock.connection.online}
                for lock in locks
            ),
        )


async def _issue_device_token(settings: Settings, options: argparse.Namespace) -> None:
    async with _administration(settings) as services:
        operator = Operator(org_id=options.org, name="shell")
        issued = await services.credential_changes.issue_token(operator, options.lock)
        print_answer(options, {"lockId": options.lock, "token": issued.token})


async def _create_temp_key(settings: Settings, options: argparse.Namespace) -> None:
    now = clock.now()
    wanted = NewTempKey(
        valid_from=now,
        valid_until=now + timedelta(hours=options.hours),
        doors=[NewDoor(lock_id=lock_id) for lock_id in options.lock],
        max_uses=options.uses,
    )
    operator = Operator(org_id=options.org, name="shell")
    async with _administration(settings) as services:
        key = (await services.temp_keys.create(operator, wanted)).key
    link = f"{options.url.rstrip('/')}/temp-keys/{key.uuid}"
    print_answer(options, {"uuid": key.uuid, "link": link, "validUntil": key.valid_until})
    if not options.json:
        segno.make(link, error="m").terminal(out=sys.stdout, compact=True)
