"""Organisations and their API keys."""

from datetime import datetime

from server.domain.organizations import ApiKey, Organization
from server.storage.mongo import Database, Documents, reports_outages

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

    async def find_api_key(self, digest: str, now: datetime) -> ApiKey | None:
        """The API key with that digest, where it is good at ``now``."""
        document = await self._api_keys.find_one(
            {
                "digest": digest,
                "$and": [
                    {"$or": [{"revokedAt": None}, {"revokedAt": {"$gt": now}}]},
                    {"$or": [{"expiresAt": None}, {"expiresAt": {"$gt": now}}]},
                ],
            }
        )
        return None if document is None else _api_keys.read(document)
