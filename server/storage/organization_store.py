"""Organisations and their API keys."""

from datetime import datetime

from server.domain.organizations import ApiKey, Organization
from server.storage.mongo import Database, Document, Documents, reports_outages

_organizations = Documents(Organization)
_api_keys = Documents(ApiKey)


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
        document = await self._organizations.find_one({"_id": org_id})
        return None if document is None else _organizations.read(document)

    async def list_all(self) -> list[Organization]:
        """Every organisation, oldest first."""
        cursor = self._organizations.find().sort("createdAt", 1)
        return [_organizations.read(document) async for document in cursor]

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
