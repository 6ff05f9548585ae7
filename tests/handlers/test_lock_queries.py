"""What the API's own queries tell of a lock, beyond the rows of the contract's table."""

import asyncio
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.handlers.asking import UUID_1, Callers
from tests.house import House, until
from tests.journeys.bare_lock import BareLock

LOCK = 4711
QUERIES = ("basic-info", "details", "residents", "events", "debug/messages", "telemetry")


@pytest.fixture
def callers(io_loop: IOLoop, house: House) -> Callers:
    return io_loop.run_sync(lambda: Callers.of(house))


@pytest.fixture
def lock(io_loop: IOLoop, house: House) -> dict[str, Any]:
    body = {
        "index": LOCK,
        "uuid": UUID_1,
        "serialNumber": "SN-1",
        "ownerId": "owner",
        "keys": [{"uuid": "fob", "indexNumber": 3, "userId": "ada"}, {"uuid": "card"}],
    }
    page = io_loop.run_sync(lambda: house.manage("POST", f"/locks/{LOCK}/CreateLock", body))
    assert page.status == 201
    return page.json()


async def ask(house: House, query: str) -> dict[str, Any]:
    page = await house.manage("GET", f"/locks/{LOCK}/{query}")
    assert page.status == 200, page.json()
    return page.json()


async def do(house: House, command: str, **body: Any) -> None:
    page = await house.manage("POST", f"/locks/{LOCK}/{command}", body)
    assert page.status == 200, page.json()


def facts(house: House) -> dict[str, Any]:
    return {
        "id": str(LOCK),
        "lockId": LOCK,
        "uuid": UUID_1,
        "version": 1,
        "r2Prefix": "",
        "serialNumber": "SN-1",
        "ownerId": "owner",
        "orgId": house.organization.id,
        "organizationId": house.organization.id,
    }


@pytest.mark.usefixtures("lock")
async def test_basic_info_says_what_a_lock_is(house: House):
    assert await ask(house, "basic-info") == facts(house)


async def test_what_is_not_known_of_a_lock_is_left_out(house: House):
    device = await house.device()
    info = (await house.manage("GET", f"/locks/{device.lock_id}/basic-info")).json()
    assert set(info) == {"id", "lockId", "uuid", "version", "r2Prefix", "orgId", "organizationId"}


async def test_details_add_keys_residents_and_the_time_of_the_last_event(
    house: House, lock: dict[str, Any]
):
    details = await ask(house, "details")
    keys = [{"uuid": "fob", "indexNumber": 3, "userId": "ada"}, {"uuid": "card"}]
    at = lock["event"]["data"]["timestamp"]
    assert details == facts(house) | {"keys": keys, "residents": [], "timestamp": at}


@pytest.mark.usefixtures("lock")
async def test_residents_are_shown_without_their_phone_numbers(house: House):
    await do(house, "AddResident", name="Ada", userId="ada", email="ada@example.org")
    await do(house, "AddResident", name="Bob", userId="bob", phoneNumber="+48123456789")
    page = await house.manage("GET", f"/locks/{LOCK}/residents")
    assert page.json() == {
        "residents": [
            {"userId": "ada", "name": "Ada", "email": "ada@example.org", "hasPhone": False},
            {"userId": "bob", "name": "Bob", "hasPhone": True},
        ]
    }
    for query in QUERIES:
        answer = await house.manage("GET", f"/locks/{LOCK}/{query}")
        assert b"123456789" not in answer.response.body


# Events


@pytest.mark.usefixtures("lock")
async def test_events_come_in_pages_of_ten_and_the_last_page_first(house: House):
    for number in range(22):
        await do(house, "AddKey", keyUuid=f"key-{number}")
    last = await ask(house, "events")
    assert {name: value for name, value in last.items() if name != "events"} == {
        "aggregateId": str(LOCK),
        "totalEvents": 23,
        "page": 3,
        "pageSize": 10,
        "totalPages": 3,
    }
    assert [event["version"] for event in last["events"]] == [21, 22, 23]
    for page, versions in (("1", range(1, 11)), ("2", range(11, 21)), ("3", range(21, 24))):
        listed = await ask(house, f"events?page={page}")
        assert listed["page"] == int(page)
        assert [event["version"] for event in listed["events"]] == list(versions)
    beyond = await ask(house, "events?page=4")
    assert (beyond["page"], beyond["events"]) == (4, [])


async def test_an_event_is_shown_in_its_envelope(house: House, lock: dict[str, Any]):
    [event] = (await ask(house, "events"))["events"]
    assert event == {
        "aggregateType": "lock",
        "aggregateId": str(LOCK),
        "version": 1,
        "type": "LockCreated",
        "timestamp": lock["event"]["data"]["timestamp"],
        "orgId": house.organization.id,
        "event": lock["event"]["data"],
    }


@pytest.mark.usefixtures("lock")
@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "1%0A", "9999999999"])
async def test_a_page_that_is_no_number_is_refused(house: House, page: str):
    answer = await house.manage("GET", f"/locks/{LOCK}/events?page={page}")
    assert answer.status == 400


async def test_events_from_before_a_lock_was_given_away_stay_with_whom_they_were(
    house: House, lock: dict[str, Any], callers: Callers
):
    assert lock["version"] == 1
    other = await house.services.provisioning.create_organization("New house")
    key = await house.services.provisioning.issue_api_key(other.id)
    await do(house, "SetOrganization", orgId=other.id)
    page = await house.fetch(f"/locks/{LOCK}/events", X_API_Key=key)
    assert [event["type"] for event in page.json()["events"]] == ["OrganizationSet"]


# Messages


async def test_messages_show_what_went_to_a_lock_and_what_it_said(house: House):
    bare = BareLock(house.url, await house.device())
    key = await house.key(bare)
    async with bare.online() as connection:
        await connection.reading(1, battery=80)
        await connection.hear("ack")
        tap = asyncio.create_task(house.tap_open(key))
        command = await connection.hear("command")
        await connection.result(command["id"], "opened")
        await tap
    page = await house.manage("GET", f"/locks/{bare.lock_id}/debug/messages?limit=5")
    answer = page.json()
    [sent] = answer["messages"]["command"]
    [said] = answer["messages"]["status"]
    assert answer["total"] == 2
    assert (sent["id"], sent["payload"]["state"]) == (command["id"], "opened")
    assert (said["payload"]["type"], said["payload"]["battery"]) == ("telemetry", 80)
    assert {"id", "payload", "timestamp"} == set(sent) == set(said)
    assert key.uuid.encode() not in page.response.body


async def test_so_many_messages_are_shown_as_are_asked_for(house: House):
    lock = await house.lock()
    for _ in range(4):
        await house.manage("POST", f"/locks/{lock.lock_id}/OpenLock", {})
    path = f"/locks/{lock.lock_id}/debug/messages"
    assert (await house.manage("GET", f"{path}?limit=3")).json()["total"] == 3
    assert (await house.manage("GET", path)).json()["total"] == 4
    for limit in ("0", "501", "x"):
        assert (await house.manage("GET", f"{path}?limit={limit}")).status == 400


# Who may ask


@pytest.mark.usefixtures("lock")
@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_is_for_those_who_manage_the_lock(callers: Callers, query: str):
    for who, expected in (
        ("nobody", 401),
        ("other organisation", 404),
        ("other owner", 404),
        ("owner", 200),
        ("organisation", 200),
        ("super", 200),
    ):
        page = await callers.ask(who, "GET", f"/locks/{LOCK}/{query}")
        assert page.status == expected, who


# What is told of a lock's own doings


async def test_an_opening_by_a_guest_is_in_the_audit_trail(house: House):
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await house.tap_open(key)

    async def offline() -> list[str] | None:
        page = await house.manage("GET", f"/locks/{lock.lock_id}/events")
        types = [event["type"] for event in page.json()["events"]]
        return types if "LockOffline" in types else None

    types = await until(offline)
    order = [one for one in types if one.startswith("Lock") and one != "LockCreated"]
    assert order == ["LockOnline", "LockOpenRequested", "LockOpened", "LockOffline"]
