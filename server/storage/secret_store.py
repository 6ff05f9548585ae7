"""Secrets that all nodes of an installation share."""

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from server.storage.mongo import Database, reports_outages


@reports_outages
class SecretStore:
    """The collection ``secrets``: one document per secret, by what it is for."""

    def __init__(self, database: Database) -> None:
        self._secrets = database["secrets"]

    async def find_or_insert(self, name: str, value: str) -> str:
        """The secret of that name; ``value`` from now on where there was none.

        Whichever node is first decides; all get the same answer.
        """
        try:
            return await self._find_or_insert(name, value)
        except DuplicateKeyError:  # two nodes were first at once
            return await self._find_or_insert(name, value)

    async def _find_or_insert(self, name: str, value: str) -> str:
        document = await self._secrets.find_one_and_update(
            {"_id": name},
            {"$setOnInsert": {"value": value}},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return str(document["value"])
