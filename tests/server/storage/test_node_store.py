"""The leases of server nodes in a real MongoDB, by its clock."""

from datetime import timedelta

import pytest
from pymongo.errors import OperationFailure

from server.storage import mongo
from server.storage.mongo import Database
from server.storage.node_store import Node, NodeStore

LEASE = timedelta(seconds=60)
OVER = timedelta(0)
N1 = Node(id="n1", name="alpha", bus="nats")
N2 = Node(id="n2", name="beta", bus="nats")


@pytest.fixture
def nodes(database: Database) -> NodeStore:
    return NodeStore(database)


async def live(nodes: NodeStore) -> list[str]:
    return sorted(node.id for node in await nodes.live())


async def test_a_node_lives_while_its_lease_lasts(nodes: NodeStore):
    await nodes.renew(N1, LEASE)
    await nodes.renew(N2, OVER)
    assert await live(nodes) == ["n1"]


async def test_a_lease_that_is_renewed_lasts_longer(nodes: NodeStore):
    await nodes.renew(N1, OVER)
    await nodes.renew(N1, LEASE)
    assert await live(nodes) == ["n1"]


async def test_a_node_is_told_whether_its_lease_was_still_there(nodes: NodeStore):
    first, began = await nodes.renew(N1, LEASE)
    second, renewed = await nodes.renew(N1, LEASE)
    assert (first, second) == (False, True)
    assert began <= renewed


async def test_a_node_is_known_by_its_name_and_since_when_it_runs(nodes: NodeStore):
    _, began = await nodes.renew(N1, LEASE)
    _, renewed = await nodes.renew(N1, LEASE)
    [node] = await nodes.live()
    assert (node.name, node.bus, node.started_at, node.renewed_at) == (
        "alpha",
        "nats",
        began,
        renewed,
    )


async def test_nodes_that_leave_are_gone_at_once(nodes: NodeStore):
    await nodes.renew(N1, LEASE)
    await nodes.renew(N2, LEASE)
    await nodes.remove(["n1"])
    assert await live(nodes) == ["n2"]


async def test_a_node_finds_the_earlier_processes_of_its_name(nodes: NodeStore):
    for earlier, lease in (("killed", LEASE), ("long gone", OVER), ("n1", LEASE)):
        await nodes.renew(Node(id=earlier, name="alpha", bus="nats"), lease)
    await nodes.renew(N2, LEASE)
    assert sorted(await nodes.predecessors_of(N1)) == ["killed", "long gone"]


async def test_nodes_whose_lease_ran_out_are_forgotten_and_others_kept(
    nodes: NodeStore, database: Database
):
    await nodes.renew(N1, OVER)
    await nodes.renew(N2, LEASE)
    await nodes.remove_dead()
    assert await database["nodes"].distinct("_id") == ["n2"]


async def test_what_a_node_that_is_gone_left_in_the_middle_keeps_nobody_from_writing(
    database: Database, nodes: NodeStore, mongodb_uri: str
):
    await database["locks"].insert_one({"_id": 1})
    gone = mongo.connect(mongodb_uri, timeout_s=10, node_id="n1")
    async with await gone.start_session() as session:
        session.start_transaction()
        theirs = gone[database.name]["locks"]
        await theirs.update_one({"_id": 1}, {"$set": {"name": "theirs"}}, session=session)
        await nodes.end_transactions_of(["n1"])
        await database["locks"].update_one({"_id": 1}, {"$set": {"name": "ours"}})
        with pytest.raises(OperationFailure, match="aborted"):
            await session.commit_transaction()
    gone.close()
    lock = await database["locks"].find_one()
    assert lock == {"_id": 1, "name": "ours"}


async def test_the_transaction_of_a_node_that_lives_goes_on(
    database: Database, nodes: NodeStore, mongodb_uri: str
):
    lives = mongo.connect(mongodb_uri, timeout_s=10, node_id="n2")
    async with await lives.start_session() as session:
        session.start_transaction()
        await lives[database.name]["locks"].insert_one({"_id": 2}, session=session)
        await nodes.end_transactions_of(["n1"])
        await session.commit_transaction()
    lives.close()
    assert await database["locks"].count_documents({"_id": 2}) == 1
