"""Nodes that meet: what one says of the others, and what it does to them."""

import pytest
from msgspec import structs

from server.settings import Secret, Settings
from server.storage.mongo import Database
from server.storage.node_store import NodeStore
from server.wiring import put_together


@pytest.mark.expects_log("node_name_used_twice")
async def test_two_nodes_of_one_name_both_live_and_each_says_so_once(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings = structs.replace(settings, node_name="twin", nats_url=Secret("nats://127.0.0.1:1"))
    one, other = [put_together(settings, database, id).nodes for id in ("one", "other")]
    await one.begin()
    await other.begin()  # which takes the first for its predecessor
    for _ in range(2):
        await one.renew()
        await other.renew()
    live = await NodeStore(database).live()
    assert [node.name for node in live] == ["twin", "twin"]
    assert caplog.text.count("node_name_used_twice") == 2
