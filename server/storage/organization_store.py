"""Organisations and their API keys."""

from datetime import datetime

from server.domain.organizations import ApiKey, Organization
from server.storage.mongo import Database, Document, Documents, reports_outages

_organizations = Documents(Organization)
_api_keys = Documents(ApiKey)
_LOGO = "logoData"
WITHOUT_LOGO = {_LOGO: 0}


@reports_outages
class OrganizationStore:
    """The collections ``organizations`` and ``apiKeys``."""

    def __init__(self, database: Database) -> None:
        self._organizations = database["organizations"]
        self._api_keys = database["apiKeys"]

    async def insert(self, organization: Organization) -> None:
        """Add an organisation; its id is random and so never taken."""
        await self._organizations.insert_one(_organizations.write(organization))

    async def find(self, org_id: str) -> Organization | None:
        """The organisation with that id."""
        document = await self._organizations.find_one({"_id": org_id}, WITHOUT_LOGO)
        return None if document is None else _organizations.read(document)

    async def list_all(self) -> list[Organization]:
        """Every organisation, oldest first."""
        cursor = self._organizations.find({}, WITHOUT_LOGO).sort("createdAt", 1)
        return [_organizations.read(document) async for document in cursor]

    async def update(self, organization: Organization, logo: bytes | None) -> None:
        """Keep the organisation's name and brand, and the bytes of its logo where they are new.

        All at once, so that no browser keeps the bytes of one logo under the address of another.
        """
        fields = _organizations.write(organization)
        change = {"name": fields["name"], "brand": fields["brand"]}
        if logo is not None:
            change[_LOGO] = logo
        await self._organizations.update_one({"_id": organization.id}, {"$set": change})

    async def find_logo(self, org_id: str) -> bytes | None:
        """The bytes of the organisation's logo."""
        document = await self._organizations.find_one({"_id": org_id}, {_LOGO: 1})
        return None if document is None else document.get(_LOGO)

    async def insert_api_key(self, key: ApiKey) -> None:
        """Add an API key; only the digest of its secret is in it."""
        await self._api_keys.insert_one(_api_keys.write(key))

    async def list_api_keys(self, org_id: str | None, now: datetime) -> list[ApiKey]:
        """The organisation's API keys (the super keys) that are good at ``now``, oldest first."""
        cursor = self._api_keys.find({"orgId": org_id, **_good(now)}).sort("createdAt", 1)
        return [_api_keys.read(document) async for document in cursor]

    async def end_api_keys(
        self, org_id: str | None, except_for: str | None, ends_at: datetime, now: datetime
    ) -> int:
        """Let the organisation's API keys (the super keys) end, but for the one with that id.

        Returns:
            How many good ones that were.
        """
        ending = {"orgId": org_id, "_id": {"$ne": except_for}, **_good(now)}
        done = await self._api_keys.update_many(ending, {"$min": {"revokedAt": ends_at}})
        return done.modified_count

    async def find_api_key(self, digest: str, now: datetime) -> ApiKey | None:
        """The API key with that digest, where it is good at ``now``."""
        document = await self._api_keys.find_one({"digest": digest, **_good(now)})
        return None if document is None else _api_keys.read(document)


def _good(now: datetime) -> Document:
    return {
        "$and": [
            {"$or": [{"revokedAt": None}, {"revokedAt": {"$gt": now}}]},
            {"$or": [{"expiresAt": None}, {"expiresAt": {"$gt": now}}]},
        ]
    }
