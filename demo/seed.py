"""What is in the demo's database before its server starts; a second start finds it again."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct, structs

from demo.credentials import Credentials, keep_credentials, read_credentials
from demo.fleet import (
    FRONT_DOOR,
    GARDEN_GATE,
    LIGHTHOUSE,
    OLIVE_MILL,
    ORGANIZATION,
    WINE_CELLAR,
    DemoLock,
)
from server import clock
from server.app import open_services
from server.domain.errors import Unauthenticated
from server.domain.locks import Lock
from server.domain.organizations import Operator, Organization
from server.domain.secrets import new_uuid
from server.domain.temp_keys import Door, KeyStatus, NewDoor, NewTempKey, TempKey, status_of
from server.services.provisioning import NewLock
from server.services.registry import Services
from server.settings import Settings
from server.storage import mongo
from server.storage.migrations import SchemaStore
from server.storage.temp_key_store import TempKeyStore

GOOD_FOR = timedelta(days=1)
"""A link that the demo prints stays what it is called for at least as long."""

_TIMEOUT_S = 10.0
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


class SeededLock(Struct, frozen=True, kw_only=True):
    """A lock of the demo, with the token that it connects with in this run."""

    id: int
    about: DemoLock
    token: str

    def __repr__(self) -> str:
        return f"SeededLock(id={self.id})"  # never the token


class SeededKeys(Struct, frozen=True, kw_only=True):
    """The uuid of each temp key; None where the fleet is too small for it."""

    by_state: dict[KeyStatus, str | None]
    two_doors: str | None
    offline: str | None
    low_battery: str | None
    jammed: str | None


class Seeded(Struct, frozen=True, kw_only=True):
    """All that the demo has put into its database."""

    organization: Organization
    credentials: Credentials
    api_key: str
    locks: list[SeededLock]
    keys: SeededKeys


async def seed(
    mongodb_uri: str, database: str, wanted: Sequence[DemoLock], credentials_file: Path
) -> Seeded:
    """Put in what is missing: the organisation, its API key, ``wanted`` locks, and temp keys.

    Raises:
        StorageUnavailable: MongoDB is away.
    """
    async with _seeder(mongodb_uri, database) as seeder:
        organization = await seeder.organization()
        credentials = read_credentials(credentials_file)
        operator, api_key = await seeder.operator(organization, credentials.api_key)
        if api_key != credentials.api_key:
            credentials = structs.replace(credentials, api_key=api_key)
            keep_credentials(credentials_file, credentials)
        locks = await seeder.locks(organization, wanted)
        return Seeded(
            organization=organization,
            credentials=credentials,
            api_key=api_key,
            locks=[
                SeededLock(
                    id=locks[about.name].id,
                    about=about,
                    token=await seeder.device_token(locks[about.name]),
                )
                for about in wanted
            ],
            keys=await seeder.keys(operator, locks),
        )


@asynccontextmanager
async def _seeder(mongodb_uri: str, database: str) -> AsyncIterator["_Seeder"]:
    settings = Settings(mongodb_database=database, mongodb_timeout_s=_TIMEOUT_S)
    client = mongo.connect(mongodb_uri, timeout_s=_TIMEOUT_S)
    try:
        await SchemaStore(client[database]).migrate()
        async with open_services(settings, mongodb_uri) as services:
            yield _Seeder(services, TempKeyStore(client[database]))
    finally:
        client.close()


class _Seeder:
    """The services and stores that seeding needs; each method finds what is there, or makes it."""

    def __init__(self, services: Services, key_store: TempKeyStore) -> None:
        self._auth = services.auth
        self._provisioning = services.provisioning
        self._temp_keys = services.temp_keys
        # Keys that no service would issue any more: expired, or used up.
        self._key_store = key_store

    async def organization(self) -> Organization:
        for organization in await self._provisioning.list_organizations():
            if organization.name == ORGANIZATION:
                return organization
        return await self._provisioning.create_organization(ORGANIZATION)

    async def operator(
        self, organization: Organization, api_key: str | None
    ) -> tuple[Operator, str]:
        """The organisation's operator by its API key: by this one, if it is good."""
        if api_key is not None:
            try:
                operator = await self._auth.operator(api_key, None)
            except Unauthenticated:
                pass  # the file outlived its database
            else:
                if operator.org_id == organization.id:
                    return operator, api_key
        api_key = await self._provisioning.issue_api_key(organization.id)
        return await self._auth.operator(api_key, None), api_key

    async def locks(
        self, organization: Organization, wanted: Sequence[DemoLock]
    ) -> dict[str, Lock]:
        """The wanted locks by name."""
        known = {lock.name: lock for lock in await self._provisioning.list_locks(organization.id)}
        return {
            about.name: known.get(about.name)
            or await self._provisioning.create_lock(
                organization.id, NewLock(name=about.name, time_zone=about.time_zone)
            )
            for about in wanted
        }

    async def device_token(self, lock: Lock) -> str:
        """A new token: an earlier one is stored only as its digest."""
        return await self._provisioning.issue_device_token(lock.org_id, lock.id)

    async def keys(self, operator: Operator, locks: dict[str, Lock]) -> SeededKeys:
        now = clock.now()
        known = await self._temp_keys.list_of(operator)
        has = locks.__contains__
        gate = GARDEN_GATE if has(GARDEN_GATE.name) else LIGHTHOUSE

        async def key(
            title: str, status: KeyStatus, *doors: DemoLock, uses: int | None = None
        ) -> str | None:
            if not all(has(door.name) for door in doors):
                return None
            wanted = NewTempKey(
                valid_from=now + _WINDOWS[status][0],
                valid_until=now + _WINDOWS[status][1],
                doors=[NewDoor(lock_id=locks[door.name].id, label=door.name) for door in doors],
                description=f"Demo: {title}",
                max_uses=uses,
            )
            for found in known:
                if _is_still(found, wanted, status, now):
                    return found.uuid
            return await self._make_key(operator, wanted, status, list(locks.values()))

        # So that the dashboard has an arrival at risk to show.
        await key("arrives soon at an offline lock", KeyStatus.NOT_YET_VALID, LIGHTHOUSE)
        return SeededKeys(
            by_state={
                KeyStatus.VALID: await key("valid", KeyStatus.VALID, FRONT_DOOR),
                KeyStatus.EXPIRED: await key("expired", KeyStatus.EXPIRED, FRONT_DOOR),
                KeyStatus.USED_UP: await key("used up", KeyStatus.USED_UP, FRONT_DOOR, uses=1),
                KeyStatus.NOT_YET_VALID: await key(
                    "not yet valid", KeyStatus.NOT_YET_VALID, FRONT_DOOR
                ),
                KeyStatus.REVOKED: await key("revoked", KeyStatus.REVOKED, FRONT_DOOR),
            },
            two_doors=await key("two doors", KeyStatus.VALID, FRONT_DOOR, gate, uses=25),
            offline=await key("offline lock", KeyStatus.VALID, LIGHTHOUSE),
            low_battery=await key("low battery", KeyStatus.VALID, OLIVE_MILL),
            jammed=await key("jammed bolt", KeyStatus.VALID, WINE_CELLAR),
        )

    async def _make_key(
        self, operator: Operator, wanted: NewTempKey, status: KeyStatus, locks: Sequence[Lock]
    ) -> str:
        if status in (KeyStatus.EXPIRED, KeyStatus.USED_UP):
            # Nobody may issue a key like this, so it is put into the store as time would leave it.
            old = _key_of_the_past(operator.name, wanted, {lock.id: lock for lock in locks})
            await self._key_store.insert(old)
            return old.uuid
        key = (await self._temp_keys.create(operator, wanted)).key
        if status is KeyStatus.REVOKED:
            await self._temp_keys.revoke(operator, key.uuid)
        return key.uuid


_WINDOWS = {
    KeyStatus.VALID: (-_HOUR, 7 * _DAY),
    KeyStatus.EXPIRED: (-4 * _DAY, -2 * _DAY),
    KeyStatus.USED_UP: (-_DAY, 7 * _DAY),
    KeyStatus.NOT_YET_VALID: (2 * _DAY, 7 * _DAY),
    KeyStatus.REVOKED: (-_HOUR, 7 * _DAY),
}
"""From when and until when a key of each state is good, as seen from now."""


def _is_still(found: TempKey, wanted: NewTempKey, status: KeyStatus, now: datetime) -> bool:
    """Whether a key of an earlier start is the one that is wanted, and will be for a day."""
    return (
        found.description == wanted.description
        and [door.lock_id for door in found.doors] == [int(door.lock_id) for door in wanted.doors]
        and status_of(found, now) == status == status_of(found, now + GOOD_FOR)
    )


def _key_of_the_past(created_by: str, wanted: NewTempKey, locks: dict[int, Lock]) -> TempKey:
    return TempKey(
        uuid=new_uuid(),
        org_id=locks[int(wanted.doors[0].lock_id)].org_id,
        created_by=created_by,
        created_at=clock.to_millisecond(wanted.valid_from),
        valid_from=clock.to_millisecond(wanted.valid_from),
        valid_until=clock.to_millisecond(wanted.valid_until),
        doors=[
            Door(
                id=number,
                lock_id=int(door.lock_id),
                lock_uuid=locks[int(door.lock_id)].uuid,
                label=door.label,
            )
            for number, door in enumerate(wanted.doors, start=1)
        ],
        description=wanted.description,
        max_uses=wanted.max_uses,
        used_count=wanted.max_uses or 0,
    )
