"""Bad weather: one fault after the other, at random, until it is told to stop."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from tests.faults.processes import Nats, Server
from tests.faults.proxy import Proxy

_CALM_S = (1.0, 4.0)
_SHORT_S = (0.5, 3.0)
_LONG_S = (2.0, 6.0)


class Weather:
    """What may go wrong between the locks, the nodes, NATS and MongoDB.

    One fault at a time, so that each is over before the next begins: what two at once
    do is left to the locks' own faults.
    """

    def __init__(
        self, nodes: Sequence[Server], nats: Nats, to_nodes: Proxy, to_mongodb: Proxy
    ) -> None:
        self._nodes = nodes
        self._nats = nats
        self._to_nodes = to_nodes
        self._to_mongodb = to_mongodb
        self.faults: Counter[str] = Counter()
        """How often each fault came."""

    async def blow(self, for_s: float) -> None:
        """Let faults come for so many seconds; all of them are over when this returns."""
        faults: list[Callable[[], Awaitable[None]]] = [
            self._cut_the_locks_off,
            self._stall_the_locks,
            self._stall_mongodb,
            self._freeze_nats,
            self._freeze_a_node,
            self._kill_a_node,
            self._restart_a_node,
        ]
        loop = asyncio.get_running_loop()
        over_at = loop.time() + for_s
        # Each of them comes, and then they come at random.
        coming = random.sample(faults, len(faults))
        while loop.time() < over_at:
            fault = coming.pop() if coming else random.choice(faults)
            await fault()
            self.faults[fault.__name__.removeprefix("_")] += 1
            await asyncio.sleep(random.uniform(*_CALM_S))

    async def _cut_the_locks_off(self) -> None:
        await self._to_nodes.cut()

    async def _stall_the_locks(self) -> None:
        self._to_nodes.stall()
        await asyncio.sleep(random.uniform(*_LONG_S))
        self._to_nodes.flow()

    async def _stall_mongodb(self) -> None:
        self._to_mongodb.stall()
        await asyncio.sleep(random.uniform(*_SHORT_S))
        self._to_mongodb.flow()

    async def _freeze_nats(self) -> None:
        await self._nats.freeze()
        await asyncio.sleep(random.uniform(*_LONG_S))
        self._nats.thaw()

    async def _freeze_a_node(self) -> None:
        node = random.choice(self._nodes)
        await node.freeze()
        await asyncio.sleep(random.uniform(*_LONG_S))
        node.thaw()

    async def _kill_a_node(self) -> None:
        node = random.choice(self._nodes)
        await node.kill()
        await asyncio.sleep(random.uniform(*_SHORT_S))
        await node.start()

    async def _restart_a_node(self) -> None:
        node = random.choice(self._nodes)
        node.ask_to_end()
        assert await node.exit_status() == 0, node.output[-2000:]
        await node.start()
