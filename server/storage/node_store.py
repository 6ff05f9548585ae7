"""Which server processes are alive, by the leases they renew."""

from datetime import datetime

from server.storage.mongo import Database, reports_outages


@reports_outages
class NodeStore:
    """The collection ``nodes``: one document per running node, good until ``leaseUntil``."""

    def __init__(self, database: Database) -> None:
        self._nodes = database["nodes"]

    async def renew(self, node_id: str, lease_until: datetime) -> bool:
        """Say that the node is alive until ``lease_until``.

        Returns:
            Whether its lease was still there; if not, others may have taken it for lost.
        """
        done = await self._nodes.update_one(
            {"_id": node_id}, {"$set": {"leaseUntil": lease_until}}, upsert=True
        )
        return done.matched_count == 1

    async def list_live(self, now: datetime) -> list[str]:
        """The ids of the nodes whose lease has not run out."""
        cursor = self._nodes.find({"leaseUntil": {"$gt": now}}, {"_id": 1})
        return [document["_id"] async for document in cursor]

    async def remove(self, node_id: str) -> None:
        """Say that the node is gone."""
        await self._nodes.delete_one({"_id": node_id})

    async def remove_dead(self, now: datetime) -> None:
        """Forget the nodes whose lease has run out."""
        await self._nodes.delete_many({"leaseUntil": {"$lte": now}})

    async def remove_all(self) -> None:
        """Forget every node."""
        await self._nodes.delete_many({})
