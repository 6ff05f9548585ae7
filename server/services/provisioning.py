"""Setting up: organisations, their API keys, locks and their device tokens."""

from datetime import datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo, available_timezones

from msgspec import Struct

from server import clock
from server.domain.errors import InvalidInput, OrganizationNotFound
from server.domain.lock_changes import created
from server.domain.locks import Lock
from server.domain.organizations import ApiKey, Organization, Scope
from server.domain.secrets import digest, masked, new_api_key, new_device_token, new_id, new_uuid
from server.storage.event_store import EventStore
from server.storage.lock_store import LockStore
from server.storage.organization_store import OrganizationStore


class NewLock(Struct, frozen=True, kw_only=True, rename="camel"):
    """A lock as an operator asks for it; the next free id where none is given."""

    name: str
    time_zone: str = "UTC"
    id: int | None = None
    serial_number: str | None = None
    open_for_seconds: float = 5.0


class Provisioning:
    """What an operator does at a shell before the first door opens."""

    def __init__(
        self, organizations: OrganizationStore, locks: LockStore, events: EventStore
    ) -> None:
        self._organizations = organizations
        self._locks = locks
        self._events = events

    async def create_organization(self, name: str) -> Organization:
        """Add an organisation."""
        organization = Organization(id=new_id(), name=name, created_at=clock.now())
        await self._organizations.insert(organization)
        return organization

    async def list_organizations(self) -> list[Organization]:
        """Every organisation, oldest first."""
        return await self._organizations.list_all()

    async def issue_api_key(self, org_id: str | None, expires_at: datetime | None = None) -> str:
        """Issue an API key (a super key, where no organisation is named), shown only this once.

        Raises:
            OrganizationNotFound: there is no such organisation.
        """
        return (await self._issue_api_key(org_id, expires_at))[1]

    async def rotate_api_key(self, org_id: str | None, overlap: timedelta) -> str:
        """Issue an API key in place of all earlier ones, which stay good for ``overlap``.

        Raises:
            OrganizationNotFound: there is no such organisation.
        """
        key, secret = await self._issue_api_key(org_id, None)
        now = clock.now()
        await self._organizations.end_api_keys(org_id, key.id, now + overlap, now)
        return secret

    async def revoke_api_keys(self, org_id: str | None) -> int:
        """End all API keys at once.

        Returns:
            How many that were.

        Raises:
            OrganizationNotFound: there is no such organisation.
        """
        await self._known_organization(org_id)
        now = clock.now()
        return await self._organizations.end_api_keys(org_id, None, now, now)

    async def list_api_keys(self, org_id: str | None) -> list[ApiKey]:
        """The API keys that are good, oldest first; their secrets are not known here.

        Raises:
            OrganizationNotFound: there is no such organisation.
        """
        await self._known_organization(org_id)
        return await self._organizations.list_api_keys(org_id, clock.now())

    async def _issue_api_key(
        self, org_id: str | None, expires_at: datetime | None
    ) -> tuple[ApiKey, str]:
        await self._known_organization(org_id)
        secret = new_api_key()
        key = ApiKey(
            id=new_id(),
            org_id=org_id,
            digest=digest(secret),
            masked=masked(secret),
            created_at=clock.now(),
            expires_at=expires_at,
        )
        await self._organizations.insert_api_key(key)
        return key, secret

    async def create_lock(self, org_id: str, wanted: NewLock) -> Lock:
        """Add a lock; it can connect once it has a device token.

        Raises:
            OrganizationNotFound: there is no such organisation.
            InvalidInput: the id is no lock's, or the time zone is not an IANA name.
            AlreadyExists: the id is taken.
        """
        await self._known_organization(org_id)
        if wanted.id is not None and not 0 < wanted.id < 2**53:
            raise InvalidInput("id", "must be a whole number above zero")
        if wanted.time_zone not in available_timezones():
            raise InvalidInput("timeZone", f"{wanted.time_zone!r} is not an IANA time zone")
        lock = Lock(
            id=await self._locks.next_id() if wanted.id is None else wanted.id,
            uuid=new_uuid(),
            org_id=org_id,
            name=wanted.name,
            created_at=clock.now(),
            time_zone=ZoneInfo(wanted.time_zone).key,
            serial_number=wanted.serial_number,
            open_for_seconds=wanted.open_for_seconds,
        )
        now = lock.created_at
        await self._events.record([created(lock)], now, partial(self._locks.insert, lock))
        return lock

    async def list_locks(self, org_id: str) -> list[Lock]:
        """Every lock of an organisation, by id.

        Raises:
            OrganizationNotFound: there is no such organisation.
        """
        await self._known_organization(org_id)
        return await self._locks.list_of(Scope(org_id=org_id))

    async def issue_device_token(self, org_id: str, lock_id: int) -> str:
        """Issue a lock's device token, in place of any earlier one; the only time it is shown.

        Raises:
            LockNotFound: the organisation has no such lock.
        """
        token = new_device_token()
        await self._locks.set_token(lock_id, Scope(org_id=org_id), digest(token), clock.now())
        return token

    async def _known_organization(self, org_id: str | None) -> None:
        """Make sure that there is one; None stands for all of them."""
        if org_id is not None and await self._organizations.find(org_id) is None:
            raise OrganizationNotFound
