"""Commands on locks over HTTP, beyond the rows of the contract's table."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.handlers.asking import UUID_1, UUID_2, Callers
from tests.house import House, Page
from tests.journeys.bare_lock import BareConnection, BareLock


@pytest.fixture
def callers(io_loop: IOLoop, house: House) -> Callers:
    return io_loop.run_sync(lambda: Callers.of(house))


class AtLock:
    """One lock of the house, and commands on it."""

    def __init__(self, house: House, lock_id: int) -> None:
        self.lock_id = lock_id
        self._house = house

    async def do(self, command: str, **body: Any) -> Page:
        return await self._house.manage("POST", f"/locks/{self.lock_id}/{command}", body)

    async def reply(self, command: str, **body: Any) -> dict[str, Any]:
        page = await self.do(command, **body)
        assert page.status == 200, page.json()
        return page.json()

    async def details(self) -> dict[str, Any]:
        return (await self._house.manage("GET", f"/locks/{self.lock_id}/details")).json()


@pytest.fixture
def lock(io_loop: IOLoop, house: House) -> AtLock:
    device = io_loop.run_sync(house.device)
    return AtLock(house, device.lock_id)


# The command reply


async def test_fifty_commands_at_once_leave_no_gap_and_lose_nothing(lock: AtLock):
    before = (await lock.details())["version"]
    replies = await asyncio.gather(
        *(lock.reply("AddKey", keyUuid=f"key-{number}") for number in range(50))
    )
    assert sorted(reply["version"] for reply in replies) == list(range(before + 1, before + 51))
    assert len((await lock.details())["keys"]) == 50


# CreateLock


def new_lock(**fields: Any) -> dict[str, Any]:
    return {"index": 4711, "uuid": UUID_1, **fields}


async def test_a_lock_is_created_once(house: House):
    body = new_lock(
        serialNumber="SN-1", vendorName="ACME", ownerId="ada",
        keys=[{"uuid": "fob", "indexNumber": 3, "userId": "ada"}],
    )  # fmt: skip
    created = await house.manage("POST", "/locks/4711/CreateLock", body)
    assert created.status == 201
    reply = created.json()
    assert (reply["version"], reply["event"]["type"]) == (1, "LockCreated")
    data = reply["event"]["data"]
    assert data["keys"] == body["keys"]
    assert (data["uuid"], data["serialNumber"], data["ownerId"]) == (UUID_1, "SN-1", "ada")
    again = await house.manage("POST", "/locks/4711/CreateLock", body)
    assert again.status == 200
    assert (again.json()["version"], again.json()["event"]) == (1, None)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("4712", new_lock()),
        ("4711", {"uuid": UUID_1}),
        ("4711", {"index": 4711}),
        ("4711", new_lock(keys=[{"uuid": "fob"}, {"uuid": "fob"}])),
    ],
)
async def test_a_lock_that_cannot_be_is_refused(house: House, path: str, body: dict[str, Any]):
    page = await house.manage("POST", f"/locks/{path}/CreateLock", body)
    assert page.status == 400
    assert page.json()["reason"] == "invalid_input"


async def test_a_uuid_is_for_one_lock_only(house: House):
    await house.manage("POST", "/locks/4711/CreateLock", new_lock())
    page = await house.manage("POST", "/locks/4712/CreateLock", new_lock(index=4712))
    assert page.status == 409


async def test_a_lock_of_somebody_else_is_not_created_again(callers: Callers):
    await callers.ask("organisation", "POST", "/locks/4711/CreateLock", new_lock())
    page = await callers.ask(
        "other organisation", "POST", "/locks/4711/CreateLock", new_lock(uuid=UUID_2)
    )
    assert page.status == 409


async def test_owners_create_no_locks(callers: Callers):
    page = await callers.ask("owner", "POST", "/locks/4711/CreateLock", new_lock())
    assert page.status == 403


async def test_the_super_key_says_whose_a_new_lock_is(callers: Callers, house: House):
    path = "/locks/4711/CreateLock"
    assert (await callers.ask("super", "POST", path, new_lock())).status == 400
    assert (await callers.ask("super", "POST", path, new_lock(orgId="unknown"))).status == 404
    good = new_lock(orgId=house.organization.id)
    assert (await callers.ask("super", "POST", path, good)).status == 201
    assert (await house.manage("GET", "/locks/4711")).status == 200


async def test_nobody_creates_locks_for_another_organisation(callers: Callers, house: House):
    body = new_lock(orgId=house.organization.id)
    page = await callers.ask("other organisation", "POST", "/locks/4711/CreateLock", body)
    assert page.status == 403


# Keys


async def test_keys_are_kept_and_removed_by_either_name(lock: AtLock):
    await lock.do("AddKey", keyUuid="fob", keyIndexNumber=3)
    await lock.do("AddKey", keyUuid="card", keyIndexNumber=4, userId="ada")
    await lock.do("AddKey", keyUuid="ring")
    removed = await lock.reply("RemoveKey", keyIndexNumber=3)
    assert removed["event"]["type"] == "KeyRemoved"
    assert removed["event"]["data"]["keyUuid"] == "fob"
    await lock.do("RemoveKey", keyUuid="ring")
    assert (await lock.details())["keys"] == [{"uuid": "card", "indexNumber": 4, "userId": "ada"}]


async def test_many_keys_are_added_at_once(lock: AtLock):
    keys = [{"keyUuid": f"key-{n}", "keyIndexNumber": n, "userId": "ada"} for n in range(30)]
    reply = await lock.reply("BulkAddKeys", keys=keys)
    assert set(reply) == {"success", "lockId", "instanceId"}
    assert (reply["success"], reply["lockId"]) == (True, lock.lock_id)
    details = await lock.details()
    assert [key["uuid"] for key in details["keys"]] == [f"key-{n}" for n in range(30)]
    assert details["version"] >= 30


# What is refused


BAD_BODIES = [
    ("AddKey", {}),
    ("RemoveKey", {}),
    ("AddResident", {"name": "Ada"}),
    ("AddResident", {"name": "Ada", "phoneNumber": "123"}),
    ("RemoveResident", {}),
]


@pytest.mark.parametrize(("command", "body"), BAD_BODIES)
async def test_a_body_that_means_nothing_is_refused_and_changes_nothing(
    lock: AtLock, command: str, body: dict[str, Any]
):
    version = (await lock.details())["version"]
    page = await lock.do(command, **body)
    assert page.status == 400
    error = page.json()
    assert (error["success"], error["error"], error["code"]) == (False, "Bad Request", 400)
    assert error["message"]
    assert (await lock.details())["version"] == version


async def test_the_owner_manages_the_lock_as_the_organisation_does(callers: Callers, lock: AtLock):
    await lock.do("SetOwner", userId="owner")
    page = await callers.ask("owner", "POST", f"/locks/{lock.lock_id}/AddKey", {"keyUuid": "fob"})
    assert page.status == 200


# Whose the lock is


async def test_a_lock_is_given_to_another_organisation(callers: Callers, house: House):
    device = await house.device()
    other = await house.services.provisioning.create_organization("New house")
    page = await house.manage(
        "POST", f"/locks/{device.lock_id}/SetOrganization", {"orgId": other.id}
    )
    assert page.json()["event"]["type"] == "OrganizationSet"
    assert page.json()["event"]["data"]["orgId"] == other.id
    assert (await house.manage("GET", f"/locks/{device.lock_id}")).status == 404
    key = await house.services.provisioning.issue_api_key(other.id)
    assert (await house.fetch(f"/locks/{device.lock_id}", X_API_Key=key)).status == 200


async def test_an_organisation_that_is_not_there_gets_no_lock(lock: AtLock):
    assert (await lock.do("SetOrganization", orgId="unknown")).status == 404


async def test_a_key_of_the_last_organisation_opens_a_lock_no_longer(house: House):
    simulated = await house.lock()
    key = await house.key(simulated)
    other = await house.services.provisioning.create_organization("New house")
    async with simulated.connected():
        await house.until_online(simulated)
        path = f"/locks/{simulated.lock_id}/SetOrganization"
        assert (await house.manage("POST", path, {"orgId": other.id})).status == 200
        await house.tap_open(key)
    assert simulated.openings == []


async def test_only_the_super_key_changes_a_uuid(callers: Callers, house: House, lock: AtLock):
    path, body = f"/locks/{lock.lock_id}/ChangeLockUuid", {"newUuid": UUID_2}
    assert (await callers.ask("organisation", "POST", path, body)).status == 403
    page = await callers.ask("super", "POST", path, body)
    assert page.status == 200
    assert page.json()["event"]["data"]["newUuid"] == UUID_2
    assert (await lock.details())["uuid"] == UUID_2
    assert (await callers.ask("super", "POST", path, body)).status == 409


async def test_a_uuid_that_another_lock_has_is_refused(
    callers: Callers, house: House, lock: AtLock
):
    await house.manage("POST", "/locks/4711/CreateLock", new_lock())
    path = f"/locks/{lock.lock_id}/ChangeLockUuid"
    assert (await callers.ask("super", "POST", path, {"newUuid": UUID_1})).status == 409


async def test_a_new_uuid_stands_in_the_keys_of_the_lock(callers: Callers, house: House):
    device = await house.device()
    key = await house.key(device)
    path = f"/locks/{device.lock_id}/ChangeLockUuid"
    await callers.ask("super", "POST", path, {"newUuid": UUID_2})
    shown = (await house.manage("GET", f"/temp-keys/{key.uuid}.json")).json()
    assert shown["doors"][0]["lockUuid"] == UUID_2


# Opening


async def test_a_lock_opens_without_a_key(house: House):
    lock = await house.lock()
    async with lock.connected():
        await house.until_online(lock)
        body = {"reason": "delivery", "requestId": "r1"}
        page = await house.manage("POST", f"/locks/{lock.lock_id}/OpenLock", body)
    reply = page.json()
    assert page.status == 200
    assert (reply["success"], reply["state"], reply["requestId"]) == (True, "opened", "r1")
    assert reply["event"]["type"] == "LockOpenRequested"
    assert reply["event"]["data"]["reason"] == "delivery"
    assert reply["event"]["data"]["requestId"] == "r1"
    assert lock.openings == [reply["commandId"]]


async def test_the_same_request_opens_once(house: House):
    lock = await house.lock()
    async with lock.connected():
        await house.until_online(lock)
        path, body = f"/locks/{lock.lock_id}/OpenLock", {"requestId": "r1"}
        pages = await asyncio.gather(*(house.manage("POST", path, body) for _ in range(5)))
        later = await house.manage("POST", path, body)
    assert [page.status for page in [*pages, later]] == [200] * 6
    assert len(lock.openings) == 1
    assert len({page.json()["commandId"] for page in pages}) == 1
    assert len([page for page in pages if page.json()["event"] is not None]) == 1
    assert later.json()["event"] is None


async def test_an_opening_needs_no_body(callers: Callers, house: House):
    lock = await house.lock()
    async with lock.connected():
        await house.until_online(lock)
        page = await callers.ask("organisation", "POST", f"/locks/{lock.lock_id}/OpenLock", b"")
    assert page.status == 200
    assert "requestId" not in page.json()


async def test_a_lock_that_is_offline_does_not_open_later(house: House):
    lock = await house.lock()
    path = f"/locks/{lock.lock_id}/OpenLock"
    page = await house.manage("POST", path, {"requestId": "r1"})
    assert page.status == 502
    assert page.json()["reason"] == "lock_offline"
    async with lock.connected():
        await house.until_online(lock)
        again = await house.manage("POST", path, {"requestId": "r1"})
    assert again.status == 502
    assert lock.openings == []
    [command] = await house.commands_of(lock)
    assert (command["state"], command["reason"]) == ("refused", "lock_offline")


@asynccontextmanager
async def online(
    house: House, *capabilities: str
) -> AsyncIterator[tuple[BareLock, BareConnection]]:
    bare = BareLock(house.url, await house.device())
    async with bare.connection() as connection:
        await connection.say(
            "hello", firmware="1", model="bare", epoch="e", lastSeq=0, capabilities=capabilities
        )
        connection.welcome = await connection.hear("welcome")
        yield bare, connection


async def test_a_lock_that_is_opening_is_busy(house: House):
    async with online(house) as (lock, connection):
        path = f"/locks/{lock.lock_id}/OpenLock"
        first = asyncio.create_task(house.manage("POST", path, {}))
        await connection.hear("command")
        second = await house.manage("POST", path, {})
        assert (await first).json()["state"] == "sent"
    assert second.status == 409
    assert second.json()["reason"] == "lock_busy"


async def test_an_opening_is_withdrawn_by_nobody_who_may_not_see_it(callers: Callers, house: House):
    lock = await house.lock()
    await house.manage("POST", f"/locks/{lock.lock_id}/OpenLock", {})
    [command] = await house.commands_of(lock)
    page = await callers.ask("other organisation", "GET", f"/commands/{command['id']}")
    assert page.status == 404


# Keys at the lock


async def test_a_key_is_written_to_a_lock_that_takes_keys(house: House):
    async with online(house, "open", "keys") as (lock, connection):
        body = {"keyUuid": "fob", "keyIndexNumber": 3}
        page = await house.manage("POST", f"/locks/{lock.lock_id}/WriteKey", body)
        frame = await connection.hear("key")
        await connection.result(frame["id"], "opened")
        assert await connection.still_answers()
    assert page.json()["event"]["type"] == "KeyWriteRequested"
    assert (frame["action"], frame["keyUuid"], frame["keyIndexNumber"]) == ("write", "fob", 3)
    assert frame["sessionId"] == connection.welcome["sessionId"]


async def test_a_lock_that_takes_keys_is_told_what_is_added_and_removed(house: House):
    async with online(house, "keys") as (lock, connection):
        for command in ("AddKey", "RemoveKey"):
            await house.manage("POST", f"/locks/{lock.lock_id}/{command}", {"keyUuid": "fob"})
        frames = [await connection.hear("key"), await connection.hear("key")]
    assert [frame["action"] for frame in frames] == ["write", "remove"]


async def test_a_lock_that_does_not_take_keys_is_never_told_of_one(house: House):
    async with online(house, "open") as (lock, connection):
        added = await house.manage("POST", f"/locks/{lock.lock_id}/AddKey", {"keyUuid": "fob"})
        page = await house.manage("POST", f"/locks/{lock.lock_id}/WriteKey", {"keyUuid": "fob"})
        await connection.say("time", t=1)
        assert (await connection.next_frame())["type"] == "time"
    assert added.status == 200
    assert page.status == 502
    assert page.json()["reason"] == "lock_takes_no_keys"


async def test_a_key_is_not_written_to_a_lock_that_is_offline(lock: AtLock):
    version = (await lock.details())["version"]
    page = await lock.do("WriteKey", keyUuid="fob")
    assert (page.status, page.json()["reason"]) == (502, "lock_offline")
    assert (await lock.details())["version"] == version + 1, "that it was asked for is told"
