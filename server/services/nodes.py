"""This node's lease: while it is renewed, the locks that this node holds may be online."""

import asyncio
from datetime import timedelta

import structlog

from server import clock
from server.domain.errors import StorageUnavailable
from server.services.sessions import Sessions
from server.storage.lock_store import LockStore
from server.storage.node_store import NodeStore

log = structlog.get_logger(__name__)

RENEW_EVERY_S = 5.0
LEASE = timedelta(seconds=15)


class Nodes:
    """Renews the lease of this node, and marks offline the locks of nodes whose lease ran out."""

    def __init__(
        self, node_id: str, nodes: NodeStore, locks: LockStore, sessions: Sessions
    ) -> None:
        self._node_id = node_id
        self._nodes = nodes
        self._locks = locks
        self._sessions = sessions

    async def begin_alone(self) -> None:
        """Start as the only node there is: whatever an earlier process left behind is over.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        await self._nodes.remove_all()
        await self.renew()

    async def renew(self) -> None:
        """Renew the lease, and take offline what no live node holds.

        A node that came too late for its own lease (it stood still, or MongoDB was away)
        brings its locks back online: their sessions live.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        now = clock.now()
        if not await self._nodes.renew(self._node_id, now + LEASE):
            back = await self._locks.reattach(self._sessions.live_ids(), now)
            log.info("lease_taken", locks_back_online=back)
        await self._nodes.remove_dead(now)
        lost = await self._locks.detach_lost(await self._nodes.list_live(now), now)
        if lost:
            log.info("locks_of_lost_nodes_offline", locks=lost)

    async def renew_forever(self) -> None:
        """Renew again and again: run as a task of the node."""
        while True:
            try:
                await self.renew()
            except StorageUnavailable:
                log.warning("lease_not_renewed")
            await asyncio.sleep(RENEW_EVERY_S)

    async def leave(self) -> None:
        """Give the lease up, so that nobody has to wait for it to run out."""
        try:
            await self._nodes.remove(self._node_id)
        except StorageUnavailable:
            log.warning("lease_left_to_run_out")
