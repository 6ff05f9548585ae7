"""What the bus over NATS makes of nodes that speak another language."""

import pytest

from server.bus.embedded_nats import EmbeddedNats
from server.domain.errors import LockUnreachable
from tests.server.bus.test_bus import WITHIN_S, open_by, two_nodes
from tests.server.bus.test_nats_link import linked


@pytest.mark.parametrize("answer", [b"", b"\xff", b'{"error": 17}', b"[]"])
async def test_an_answer_that_nobody_understands_leaves_the_lock_unreachable(
    nats_server: EmbeddedNats, answer: bytes
):
    async with two_nodes("nats", nats_server) as nodes, linked(nats_server.url) as stranger:
        assert await stranger.until_up(WITHIN_S)

        def take(_message: bytes, answer_to: str, _carried: str | None) -> None:
            stranger.publish(answer_to, answer)

        await stranger.listen("test.v1.lock.17", take)
        with pytest.raises(LockUnreachable):
            await open_by(nodes)
