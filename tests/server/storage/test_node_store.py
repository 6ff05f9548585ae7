"""The leases of server nodes in a real MongoDB."""

from datetime import UTC, datetime, timedelta

import pytest

from server.storage.mongo import Database
from server.storage.node_store import NodeStore

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TICK = timedelta(milliseconds=1)


@pytest.fixture
def nodes(database: Database) -> NodeStore:
    return NodeStore(database)


async def test_a_node_is_alive_until_just_before_its_lease_runs_out(nodes: NodeStore):
    await nodes.renew("n1", NOW)
    assert await nodes.list_live(NOW - TICK) == ["n1"]
    assert await nodes.list_live(NOW) == []


async def test_a_lease_that_is_renewed_lasts_longer(nodes: NodeStore):
    await nodes.renew("n1", NOW)
    await nodes.renew("n1", NOW + TICK)
    assert await nodes.list_live(NOW) == ["n1"]


async def test_a_node_that_leaves_is_gone_at_once(nodes: NodeStore):
    await nodes.renew("n1", NOW)
    await nodes.renew("n2", NOW)
    await nodes.remove("n1")
    assert await nodes.list_live(NOW - TICK) == ["n2"]


async def test_nodes_whose_lease_ran_out_are_forgotten_and_others_kept(
    nodes: NodeStore, database: Database
):
    await nodes.renew("dead", NOW)
    await nodes.renew("alive", NOW + TICK)
    await nodes.remove_dead(NOW)
    assert await database["nodes"].distinct("_id") == ["alive"]


async def test_every_node_can_be_forgotten(nodes: NodeStore, database: Database):
    await nodes.renew("n1", NOW)
    await nodes.renew("n2", NOW)
    await nodes.remove_all()
    assert await database["nodes"].count_documents({}) == 0
