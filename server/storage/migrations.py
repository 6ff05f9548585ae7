"""The shape of what is stored, as one number, and the steps from each number to the next.

A step goes forward only, and may be run again after it broke off half way. It is added to the
end of ``MIGRATIONS`` and never changed once it was released. Nodes never migrate: they refuse
to work on a shape that is not theirs, and ``python -m server migrate`` is run in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from msgspec import Struct
from pymongo.errors import DuplicateKeyError

from server.domain.database_errors import MigrationUnderWay, WrongSchema
from server.domain.secrets import new_id
from server.storage.mongo import Database, Document, create_indexes, reports_outages

LEASE_S = 30
"""After how long others may take a migration for broken off."""

_RENEW_EVERY_S = LEASE_S / 3
_ID = "schema"


class Migration(Struct, frozen=True):
    """One step; ``what`` says what is true after it."""

    what: str
    run: Callable[[Database], Awaitable[None]]


async def _number_events(database: Database) -> None:
    await database["locks"].update_many({"version": None}, {"$set": {"version": 0}})


MIGRATIONS: tuple[Migration, ...] = (
    Migration("every lock has the number of its newest event", _number_events),
)
"""The first leads to schema 1, the second to schema 2, and so on."""


async def prepare(database: Database) -> None:
    """Have the database ready for this server: its schema checked, its indexes there.

    Raises:
        WrongSchema: what is stored has another shape than this server knows.
        StorageUnavailable: MongoDB does not answer.
    """
    await SchemaStore(database).check()
    await create_indexes(database)


@reports_outages
class SchemaStore:
    """The collection ``schema``: one document with the number, and with who changes it."""

    def __init__(self, database: Database, migrations: tuple[Migration, ...] = MIGRATIONS) -> None:
        self._database = database
        self._schema = database["schema"]
        self._migrations = migrations
        self._runner = new_id()

    async def check(self) -> None:
        """Refuse a database that is not of this server's schema; an empty one becomes so.

        Raises:
            WrongSchema: it is of an older or a newer one.
        """
        stored = await self._version()
        if stored != len(self._migrations):
            raise WrongSchema(stored, len(self._migrations))

    async def migrate(self) -> list[str]:
        """Take the database to this server's schema, and make its indexes.

        Returns:
            What is true now that was not before, in order.

        Raises:
            WrongSchema: it is of a newer one.
            MigrationUnderWay: somebody else migrates, or took this one for broken off.
        """
        await self._version()
        await self._take_lease()
        try:
            return await self._while_renewing(self._take_steps())
        finally:
            await self._schema.update_one(self._mine, {"$unset": {"runner": "", "leaseUntil": ""}})

    @property
    def _mine(self) -> Document:
        return {"_id": _ID, "runner": self._runner}

    async def _version(self) -> int:
        document = await self._schema.find_one({"_id": _ID})
        if document is None:
            version = len(self._migrations) if await self._is_empty() else 0
            try:
                await self._schema.insert_one({"_id": _ID, "version": version})
            except DuplicateKeyError:  # another node was first
                return await self._version()
            return version
        return int(document["version"])

    async def _is_empty(self) -> bool:
        for collection in ("organizations", "apiKeys", "locks"):
            if await self._database[collection].find_one({}, {"_id": 1}) is not None:
                return False
        return True

    async def _take_lease(self) -> None:
        # MongoDB's clock, so that those of the runners need not agree.
        is_free = {"$or": [{"runner": None}, {"$expr": {"$lt": ["$leaseUntil", "$$NOW"]}}]}
        done = await self._schema.update_one({"_id": _ID, **is_free}, self._lease())
        if done.matched_count == 0:
            raise MigrationUnderWay

    def _lease(self) -> list[Document]:
        until = {"$dateAdd": {"startDate": "$$NOW", "unit": "second", "amount": LEASE_S}}
        return [{"$set": {"runner": self._runner, "leaseUntil": until}}]

    async def _while_renewing(self, work: Coroutine[Any, Any, list[str]]) -> list[str]:
        working = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({working}, timeout=_RENEW_EVERY_S))[0]:
                done = await self._schema.update_one(self._mine, self._lease())
                if done.matched_count == 0:
                    raise MigrationUnderWay
            return working.result()
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _take_steps(self) -> list[str]:
        stored = await self._version()
        if stored > len(self._migrations):
            raise WrongSchema(stored, len(self._migrations))
        taken: list[str] = []
        for number, migration in enumerate(self._migrations[stored:], start=stored + 1):
            await migration.run(self._database)
            done = await self._schema.update_one(self._mine, {"$set": {"version": number}})
            if done.matched_count == 0:
                raise MigrationUnderWay
            taken.append(f"schema {number}: {migration.what}")
        await create_indexes(self._database)
        return taken
