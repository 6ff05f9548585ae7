"""Commands on locks from several nodes at once: none is lost, and versions have no gap."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from tornado.ioloop import IOLoop

from server.app import open_services
from server.domain import lock_requests as requests
from server.domain.errors import ChangedMeanwhile, Forbidden, LockNotFound
from server.domain.locks import Lock
from server.domain.organizations import Operator
from server.services.provisioning import NewLock
from server.services.registry import Services
from server.settings import Settings
from server.storage.event_log import EventLog
from server.storage.lock_state_store import LockStateStore
from server.storage.mongo import Database
from server.storage.presence_store import PresenceStore
from tests.house import another_node


@pytest.fixture
def other_node(
    io_loop: IOLoop, services: Services, mongodb_uri: str, settings: Settings
) -> Iterator[Services]:
    """A second node over the same database."""
    running = open_services(another_node(settings), mongodb_uri)
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


async def a_lock(services: Services) -> tuple[Operator, Lock]:
    organization = await services.provisioning.create_organization("House")
    lock = await services.provisioning.create_lock(organization.id, NewLock(name="Door"))
    return Operator(org_id=organization.id, name="test"), lock


async def test_commands_on_two_nodes_at_once_lose_nothing(
    services: Services, other_node: Services, database: Database
):
    operator, lock = await a_lock(services)
    done = await asyncio.gather(
        *(
            node.lock_commands.add_key(operator, lock.id, requests.AddKey(key_uuid=f"{name}{n}"))
            for name, node in (("a", services), ("b", other_node))
            for n in range(25)
        )
    )
    first = min(one.version for one in done)
    assert sorted(one.version for one in done) == list(range(first, first + 50))
    after = await services.locks.find(operator, lock.id)
    assert len(after.keys) == 50
    events = await EventLog(database).list_of_lock(lock.id, lock.org_id, 0, 1000)
    assert [event.version for event in events] == list(range(1, after.version + 1))


async def test_the_same_command_many_times_at_once_has_one_event(
    services: Services, other_node: Services
):
    operator, lock = await a_lock(services)
    done = await asyncio.gather(
        *(
            node.lock_commands.set_owner(operator, lock.id, requests.SetOwner(user_id="ada"))
            for node in (services, other_node) * 10
        )
    )
    assert len([one for one in done if one.event is not None]) == 1
    assert {one.version for one in done if one.event is None} <= {done[0].version, done[1].version}


async def test_a_command_between_keys_and_residents_loses_neither(
    services: Services, other_node: Services
):
    operator, lock = await a_lock(services)
    await asyncio.gather(
        *(
            services.lock_commands.add_key(operator, lock.id, requests.AddKey(key_uuid=str(n)))
            for n in range(10)
        ),
        *(
            other_node.lock_commands.add_resident(
                operator, lock.id, requests.AddResident(name="Ada", user_id=str(n))
            )
            for n in range(10)
        ),
    )
    after = await services.locks.find(operator, lock.id)
    assert (len(after.keys), len(after.residents)) == (10, 10)


async def test_a_change_of_presence_is_no_reason_to_lose_a_command(
    services: Services, database: Database
):
    operator, lock = await a_lock(services)
    await PresenceStore(database).attach(lock, lock.connection)
    done = await services.lock_commands.add_key(operator, lock.id, requests.AddKey(key_uuid="fob"))
    assert done.event is not None
    after = await services.locks.find(operator, lock.id)
    assert after.session_count == 1


async def test_a_state_that_was_changed_meanwhile_is_not_written(
    services: Services, database: Database
):
    operator, before = await a_lock(services)
    before = await services.locks.find(operator, before.id)
    await services.lock_commands.set_owner(operator, before.id, requests.SetOwner(user_id="ada"))
    states = LockStateStore(database)
    after = Lock(
        id=before.id,
        uuid="another",
        org_id=before.org_id,
        name=before.name,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    async with await database.client.start_session() as session, session.start_transaction():
        with pytest.raises(ChangedMeanwhile):
            await states.save(before, after, session)
    assert (await services.locks.find(operator, before.id)).uuid == before.uuid


async def test_settings_are_written_beside_commands(services: Services):
    operator, lock = await a_lock(services)
    update = requests.LockUpdate(name="Gate", time_zone="Europe/Rome", open_for_seconds=7)
    await asyncio.gather(
        services.lock_commands.update(operator, lock.id, update),
        services.lock_commands.set_owner(operator, lock.id, requests.SetOwner(user_id="ada")),
    )
    after = await services.locks.find(operator, lock.id)
    assert (after.name, after.time_zone, after.open_for_seconds, after.owner_id) == (
        "Gate",
        "Europe/Rome",
        7,
        "ada",
    )


async def test_a_uuid_is_not_for_organisations_to_change(services: Services):
    operator, lock = await a_lock(services)
    wanted = requests.ChangeLockUuid(new_uuid=uuid4())
    with pytest.raises(Forbidden):
        await services.lock_commands.change_uuid(operator, lock.id, wanted)
    stranger = Operator(org_id="another", name="stranger")
    with pytest.raises(LockNotFound):
        await services.lock_commands.change_uuid(stranger, lock.id, wanted)
