"""This node's lease: while it is renewed, the locks that this node holds may be online."""

import asyncio
import socket
from datetime import datetime, timedelta
from typing import Never

import structlog

from server import clock
from server.domain.database_errors import AnotherNode
from server.domain.errors import StorageUnavailable
from server.domain.locks import OfflineReason
from server.services.metrics import Metrics
from server.services.sessions import Sessions
from server.storage.node_store import LiveNode, Node, NodeStore
from server.storage.presence_store import PresenceStore

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=15)
"""How long the locks of a node that was killed may be shown online."""

ALONE = "local"
"""The bus of a node that knows of no other."""

_LOOK_EVERY_S = 1.0
_LOOKS_PER_RENEWAL = 5
_STORED_LEASE = LEASE - timedelta(seconds=2 * _LOOK_EVERY_S)
"""A lease ends early enough for some node to look, and to write down what it sees, in time."""

_CLOCKS_MAY_DIFFER = timedelta(seconds=1)


def this_process(node_id: str, name: str | None, port: int, bus: str) -> Node:
    """This process as a node. Where nobody can say the same of its successor, its name is its own.

    Without a ``name`` it has that of its host, and the ``port`` it listens on (0: any).
    """
    if name is None and not port:
        name = node_id
    return Node(id=node_id, name=process_name(name, port), bus=bus)


def process_name(name: str | None, port: int) -> str:
    """What a process is called that listens on ``port``: ``name``, or after its host."""
    return f"{socket.gethostname()}:{port}" if name is None else name


class Nodes:
    """Renews the lease of this node, and marks offline the locks of nodes whose lease ran out."""

    def __init__(
        self,
        node: Node,
        nodes: NodeStore,
        presence: PresenceStore,
        sessions: Sessions,
        metrics: Metrics,
    ) -> None:
        self._node = node
        self._nodes = nodes
        self._presence = presence
        self._sessions = sessions
        self._metrics = metrics
        self._namesakes: set[str] = set()
        """The ids of other nodes that have this one's name, as far as they were told of."""

    async def begin(self) -> None:
        """Start: what an earlier process of this name has left behind is over at once.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        gone = await self._nodes.predecessors_of(self._node)
        await self._nodes.end_transactions_of(gone)
        await self._nodes.remove(gone)
        await self.renew()

    async def renew(self) -> None:
        """Renew the lease, and see that this node's sessions are those that MongoDB knows of.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        asked_at = clock.now()
        was_there, mongodb_says = await self._nodes.renew(self._node, _STORED_LEASE)
        if not was_there:
            log.info("lease_taken", node=self._node.name)
        _compare_clocks(asked_at, mongodb_says)
        await self._sessions.check_all()
        await self._nodes.remove_dead()
        await self.look()

    async def look(self) -> None:
        """Take offline what no live node holds.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        # In this order, as a node has its lease before it has its first lock.
        holding = await self._presence.nodes_with_locks()
        live = await self._nodes.live()
        lost = holding - {node.id for node in live}
        if lost:
            await self._nodes.end_transactions_of(lost)
            offline = await self._presence.detach_lost(lost, clock.now())
            self._metrics.went_offline(OfflineReason.SERVER_LOST, offline)
            log.info("locks_of_lost_nodes_offline", locks=offline)
        self._notice(live)

    async def keep_forever(self) -> Never:
        """Look and renew, again and again: run as a task of the node.

        Raises:
            AnotherNode: another node that came before works on this MongoDB, and does not hear
                of this one's locks, nor this one of its.
        """
        look = 0
        while True:
            look += 1
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                if look % _LOOKS_PER_RENEWAL == 0:
                    await self.renew()
                else:
                    await self.look()
            except StorageUnavailable:
                log.warning("lease_not_renewed")

    async def leave(self) -> None:
        """Give the lease up, so that nobody has to wait for it to run out."""
        try:
            await self._nodes.end_transactions_of([self._node.id])
            await self._nodes.remove([self._node.id])
        except StorageUnavailable:
            log.warning("lease_left_to_run_out")

    def _notice(self, live: list[LiveNode]) -> None:
        """Give way to a node that does not hear of this one's locks, and was there before.

        A node that was killed looks alive for a while; it is not taken for another one unless
        it has renewed its lease since this one began.
        """
        me = next((node for node in live if node.id == self._node.id), None)
        if me is None:
            return
        self._tell_of_namesakes(live)
        for other in live:
            apart = ALONE in (me.bus, other.bus) and other.id != me.id
            if apart and other.renewed_at > me.started_at:
                log.error("another_node_without_nats", node=other.name)
                if me.started_at >= other.started_at:
                    raise AnotherNode

    def _tell_of_namesakes(self, live: list[LiveNode]) -> None:
        """Complain of other nodes with this one's name: each start of one ends the others' leases.

        Those are taken again with their next renewal; until then their locks count as lost.
        """
        namesakes = {node.id for node in live if node.name == self._node.name} - {self._node.id}
        if namesakes - self._namesakes:
            log.warning("node_name_used_twice", node=self._node.name)
        self._namesakes = namesakes


def _compare_clocks(asked_at: datetime, mongodb_says: datetime) -> None:
    """Complain where this node's clock is wrong: commands expire by it."""
    now = clock.now()
    if not asked_at - _CLOCKS_MAY_DIFFER < mongodb_says < now + _CLOCKS_MAY_DIFFER:
        seconds = round((now - mongodb_says).total_seconds(), 1)
        log.warning("clock_differs_from_mongodb", seconds=seconds)
