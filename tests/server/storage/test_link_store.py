"""Links in a real MongoDB: what belongs to a key is found with it, and what does not is not."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from server.domain.commands import CommandState, OpenCommand, Step
from server.domain.errors import OrganizationNotFound, TempKeyNotFound
from server.domain.locks import Lock
from server.domain.organizations import Organization
from server.domain.temp_keys import Door, TempKey
from server.storage.command_store import CommandStore
from server.storage.link_store import LinkStore
from server.storage.lock_store import LockStore
from server.storage.mongo import Database
from server.storage.organization_store import OrganizationStore
from server.storage.temp_key_store import TempKeyStore

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
KEY = TempKey(
    uuid="6f0d8c2e-6f4e-4f4b-9d9b-0c0a5f1f7a11",
    org_id="org",
    created_by="test",
    created_at=NOW,
    valid_from=NOW,
    valid_until=NOW + timedelta(days=1),
    doors=[Door(id=1, lock_id=17, lock_uuid="u17"), Door(id=2, lock_id=18, lock_uuid="u18")],
)
ISSUER = Organization(id="org", name="Hotel", created_at=NOW)
COMMAND = OpenCommand(
    id="c1",
    org_id="org",
    lock_id=17,
    requested_at=NOW,
    expires_at=NOW + timedelta(seconds=8),
    temp_key_uuid=KEY.uuid,
    door_id=1,
    history=[Step(state=CommandState.QUEUED, at=NOW)],
)


def lock(lock_id: int, org_id: str = "org") -> Lock:
    return Lock(id=lock_id, uuid=f"u{lock_id}", name="Door", org_id=org_id, created_at=NOW)


async def _store(database: Database, issuer: Organization | None = None) -> None:
    """The key, and who issued it."""
    await TempKeyStore(database).insert(KEY)
    if issuer is not None:
        await OrganizationStore(database).insert(issuer)


@pytest.fixture
def links(database: Database) -> LinkStore:
    return LinkStore(database)


async def test_a_key_is_found_with_the_locks_of_its_doors(database: Database, links: LinkStore):
    await _store(database)
    for lock_id in (16, 17, 18):
        await LockStore(database).insert(lock(lock_id))
    found = await links.find(KEY.uuid)
    assert found.key == KEY
    assert found.locks == {17: lock(17), 18: lock(18)}


async def test_a_lock_that_was_given_away_is_not_found(database: Database, links: LinkStore):
    await _store(database)
    await LockStore(database).insert(lock(17, org_id="another"))
    await LockStore(database).insert(lock(18))
    assert list((await links.find(KEY.uuid)).locks) == [18]


async def test_a_key_that_never_was_is_not_found(links: LinkStore):
    with pytest.raises(TempKeyNotFound):
        await links.find(KEY.uuid)
    with pytest.raises(TempKeyNotFound):
        await links.view(KEY.uuid, "c1")


async def test_a_page_is_found_with_who_issued_the_key_but_not_the_bytes_of_their_logo(
    database: Database, links: LinkStore
):
    await _store(database, ISSUER)
    await OrganizationStore(database).update(ISSUER, b"bytes")
    view = await links.view(KEY.uuid)
    assert (view.key, view.organization, view.command) == (KEY, ISSUER, None)


async def test_a_page_is_found_with_the_command_asked_about(database: Database, links: LinkStore):
    await _store(database, ISSUER)
    await CommandStore(database).insert(COMMAND)
    assert (await links.view(KEY.uuid, "c1")).command == COMMAND
    assert (await links.view(KEY.uuid, "c2")).command is None


async def test_a_command_of_another_key_is_not_found(database: Database, links: LinkStore):
    await _store(database, ISSUER)
    await CommandStore(database).insert(structs.replace(COMMAND, temp_key_uuid="another"))
    assert (await links.view(KEY.uuid, "c1")).command is None


async def test_a_page_of_nobody_is_not_found(database: Database, links: LinkStore):
    await _store(database)
    with pytest.raises(OrganizationNotFound):
        await links.view(KEY.uuid)
