"""Which server processes are alive, by the leases they renew.

Leases are written and judged by MongoDB's clock, so that the clocks of nodes may differ.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct
from pymongo import ReturnDocument

from server.storage.mongo import Database, Document, end_transactions_of, reports_outages

_LIVES: Document = {"$expr": {"$gt": ["$leaseUntil", "$$NOW"]}}
_DEAD: Document = {"$expr": {"$lte": ["$leaseUntil", "$$NOW"]}}


class Node(Struct, frozen=True, kw_only=True):
    """A server process: ``id`` is of this process alone, ``name`` of its successors too.

    ``bus`` is how it reaches the others; a node without NATS reaches none.
    """

    id: str
    name: str
    bus: str


class LiveNode(Node, frozen=True, kw_only=True):
    """A node with a lease, and when it took it and renewed it last, by MongoDB's clock."""

    started_at: datetime
    renewed_at: datetime


@reports_outages
class NodeStore:
    """The collection ``nodes``: one document per running node, good until ``leaseUntil``."""

    def __init__(self, database: Database) -> None:
        self._client = database.client
        self._nodes = database["nodes"]

    async def renew(self, node: Node, lease: timedelta) -> tuple[bool, datetime]:
        """Say that the node is alive, for the length of the lease from now on.

        Returns:
            Whether its lease was still there (if not, others may have taken it for lost),
            and what MongoDB's clock says.
        """
        document = await self._nodes.find_one_and_update(
            {"_id": node.id},
            [
                {
                    "$set": {
                        "name": {"$literal": node.name},
                        "bus": {"$literal": node.bus},
                        "startedAt": {"$ifNull": ["$startedAt", "$$NOW"]},
                        "renewedAt": "$$NOW",
                        "leaseUntil": {"$add": ["$$NOW", lease.total_seconds() * 1000]},
                    }
                }
            ],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return document["startedAt"] < document["renewedAt"], document["renewedAt"]

    async def live(self) -> list[LiveNode]:
        """The nodes whose lease has not run out."""
        return [_read(document) async for document in self._nodes.find(_LIVES)]

    async def predecessors_of(self, node: Node) -> list[str]:
        """The ids of earlier processes of that name, whether or not their leases have run out."""
        earlier = {"name": node.name, "_id": {"$ne": node.id}}
        return [document["_id"] async for document in self._nodes.find(earlier, {"_id": 1})]

    async def end_transactions_of(self, node_ids: Iterable[str]) -> None:
        """Undo what these nodes, which are gone, have left in the middle: it is in others' way."""
        await end_transactions_of(self._client, node_ids)

    async def remove(self, node_ids: Iterable[str]) -> None:
        """Say that these nodes are gone."""
        await self._nodes.delete_many({"_id": {"$in": list(node_ids)}})

    async def remove_dead(self) -> None:
        """Forget the nodes whose lease has run out, with what they have left in the middle."""
        dead = [document["_id"] async for document in self._nodes.find(_DEAD, {"_id": 1})]
        if dead:
            await self.end_transactions_of(dead)
            await self._nodes.delete_many({"_id": {"$in": dead}, **_DEAD})


def _read(document: Document) -> LiveNode:
    return LiveNode(
        id=document["_id"],
        name=document["name"],
        bus=document["bus"],
        started_at=document["startedAt"],
        renewed_at=document["renewedAt"],
    )
