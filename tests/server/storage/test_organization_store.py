"""Organisations and API keys in a real MongoDB."""

from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import DuplicateKeyError

from server.domain.organizations import ApiKey, Organization
from server.storage.mongo import Database
from server.storage.organization_store import OrganizationStore

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TICK = timedelta(milliseconds=1)


@pytest.fixture
def organizations(database: Database) -> OrganizationStore:
    return OrganizationStore(database)


def organization(org_id: str, created_at: datetime = NOW) -> Organization:
    return Organization(id=org_id, name=f"Hotel {org_id}", created_at=created_at)


def api_key(
    digest: str = "digest",
    expires_at: datetime | None = None,
    revoked_at: datetime | None = None,
) -> ApiKey:
    return ApiKey(
        id=f"id of {digest}",
        org_id="org",
        digest=digest,
        masked="lk_abcde…wxyz",
        created_at=NOW,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


async def test_an_organisation_is_found_as_it_was_stored(organizations: OrganizationStore):
    await organizations.insert(organization("a"))
    assert await organizations.find("a") == organization("a")


async def test_an_organisation_that_does_not_exist_is_not_found(organizations: OrganizationStore):
    assert await organizations.find("a") is None


async def test_organisations_are_listed_oldest_first(organizations: OrganizationStore):
    await organizations.insert(organization("new", NOW + TICK))
    await organizations.insert(organization("old", NOW))
    assert [one.id for one in await organizations.list_all()] == ["old", "new"]


async def test_an_api_key_is_found_by_its_digest(organizations: OrganizationStore):
    await organizations.insert_api_key(api_key())
    assert await organizations.find_api_key("digest", NOW) == api_key()
    assert await organizations.find_api_key("wrong", NOW) is None


async def test_an_api_key_is_good_until_just_before_it_expires(organizations: OrganizationStore):
    await organizations.insert_api_key(api_key(expires_at=NOW))
    assert await organizations.find_api_key("digest", NOW - TICK) is not None
    assert await organizations.find_api_key("digest", NOW) is None


async def test_an_api_key_is_good_until_its_revocation_takes_effect(
    organizations: OrganizationStore,
):
    await organizations.insert_api_key(api_key(revoked_at=NOW))
    assert await organizations.find_api_key("digest", NOW - TICK) is not None
    assert await organizations.find_api_key("digest", NOW) is None


async def test_an_api_key_that_was_revoked_does_not_live_on_because_it_expires_later(
    organizations: OrganizationStore,
):
    key = api_key(expires_at=NOW + timedelta(days=1), revoked_at=NOW)
    await organizations.insert_api_key(key)
    assert await organizations.find_api_key("digest", NOW) is None


async def test_no_two_api_keys_share_a_digest(organizations: OrganizationStore):
    await organizations.insert_api_key(api_key())
    with pytest.raises(DuplicateKeyError):
        await organizations.insert_api_key(api_key())
