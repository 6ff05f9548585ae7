"""Following the fleet: presence, readings and events, for those whose locks they are."""

import asyncio
import socket
from urllib.parse import urlsplit

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from server import clock
from server.app import make_app, open_services
from server.services import fleet_feed
from server.services.provisioning import NewLock
from server.settings import Settings
from server.storage.mongo import Database
from tests.handlers.asking import token_of
from tests.house import House, another_node, until
from tests.journeys.fleet_stream import following_fleet


async def test_it_tells_that_a_lock_comes_and_goes_and_what_it_reads(house: House) -> None:
    lock = await house.lock("Garden gate")
    async with following_fleet(house.url, X_API_Key=house.api_key) as stream:
        await stream.next("ready")
        async with lock.connected():
            online = await stream.next("lock")
            assert online.data["name"] == "Garden gate"
            assert online.data["connection"]["online"] is True
            await lock.report(battery=42)
            while (told := await stream.next("lock")).data["telemetry"] is None:
                pass
            assert told.data["telemetry"]["battery"] == 42
        while (await stream.next("lock")).data["connection"]["online"]:
            pass


async def test_what_it_tells_of_a_lock_is_what_the_lock_s_own_address_answers(
    house: House,
) -> None:
    lock = await house.lock()
    async with following_fleet(house.url, X_API_Key=house.api_key) as stream:
        await stream.next("ready")
        await house.manage("PATCH", f"/locks/{lock.lock_id}", {"name": "Back door"})
        told = await stream.next("lock")
    assert told.data == (await house.manage("GET", f"/locks/{lock.lock_id}")).json()


async def test_events_are_those_of_the_list_and_go_on_after_the_last_one_heard(
    house: House,
) -> None:
    device = await house.device()
    path = f"/locks/{device.lock_id}/AddKey"
    async with following_fleet(house.url, X_API_Key=house.api_key) as stream:
        await stream.next("ready")
        await house.manage("POST", path, {"keyUuid": "one"})
        heard = await stream.next_event("KeyAdded")
    for key in ("two", "three"):
        await house.manage("POST", path, {"keyUuid": key})
    last = {"Last_Event_ID": heard.id or ""}
    async with following_fleet(house.url, X_API_Key=house.api_key, **last) as stream:
        missed = [await stream.next_event("KeyAdded") for _ in range(2)]
        await house.manage("POST", path, {"keyUuid": "four"})
        missed.append(await stream.next_event("KeyAdded"))
    assert [told.data["event"]["keyUuid"] for told in missed] == ["two", "three", "four"]
    listed = await house.manage("GET", f"/events?after={heard.id}&type=KeyAdded")
    assert [told.data for told in missed] == listed.json()["events"]


async def test_who_missed_too_much_is_told_to_read_the_list(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_feed, "MOST_REPLAYED", 1)
    device = await house.device()
    for key in ("one", "two", "three"):
        path = f"/locks/{device.lock_id}/AddKey"
        await house.manage("POST", path, {"keyUuid": key})

    async def all_told() -> bool:
        listed = await house.manage("GET", "/events?type=KeyAdded")
        return len(listed.json()["events"]) == 3

    await until(all_told)
    async with following_fleet(house.url, X_API_Key=house.api_key, Last_Event_ID="0") as stream:
        ready = await stream.next("ready")
    assert ready.data["complete"] is False


async def test_nobody_hears_of_somebody_elses_locks(house: House) -> None:
    other = await house.services.provisioning.create_organization("Other house")
    other_key = await house.services.provisioning.issue_api_key(other.id)
    mine, hers = await house.device("Mine"), await house.device("Ann's")
    await house.manage("POST", f"/locks/{hers.lock_id}/SetOwner", {"userId": "ann"})
    ann = {"Authorization": f"Bearer {token_of('ann')}"}
    async with (
        following_fleet(house.url, X_API_Key=house.api_key) as organisation,
        following_fleet(house.url, X_API_Key=other_key) as stranger,
        following_fleet(house.url, **ann) as owner,
    ):
        for stream in (organisation, stranger, owner):
            await stream.next("ready")
        for device in (mine, hers):
            await house.manage("PATCH", f"/locks/{device.lock_id}", {"name": "Renamed"})
            await house.manage("POST", f"/locks/{device.lock_id}/AddKey", {"keyUuid": "card"})
        # What comes last is told last, so whoever has heard it has heard all before it.
        theirs = await house.services.provisioning.create_lock(other.id, NewLock(name="Theirs"))
        assert (await stranger.next("event")).data["aggregateId"] == str(theirs.id)
        assert (await owner.next("lock")).data["id"] == hers.lock_id
        assert (await owner.next("event")).data["aggregateId"] == str(hers.lock_id)
        heard = {(await organisation.next("lock")).data["id"] for _ in range(2)}
        assert heard == {mine.lock_id, hers.lock_id}


async def test_it_tells_of_locks_that_another_node_holds(
    house: House, settings: Settings, mongodb_uri: str
) -> None:
    lock = await house.lock()
    async with open_services(another_node(settings), mongodb_uri) as second:
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(make_app(second))
        server.add_sockets(sockets)
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        async with following_fleet(url, X_API_Key=house.api_key) as stream:
            await stream.next("ready")
            async with lock.connected():
                while not (await stream.next("lock")).data["connection"]["online"]:
                    pass  # a node that starts takes others for dead, for some seconds
        server.stop()
        await server.close_all_connections()


async def test_it_ends_when_the_api_key_is_revoked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.sse.SILENCE_S", 0.1)
    async with following_fleet(house.url, X_API_Key=house.api_key) as stream:
        await stream.next("ready")
        await stream.next("")  # a comment: the stream lives
        await house.services.provisioning.revoke_api_keys(house.organization.id)
        await stream.until_end()


async def test_who_does_not_read_is_let_go(
    house: House, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_feed, "MOST_UNREAD_BYTES", 20_000)
    monkeypatch.setattr(fleet_feed, "TICK_S", 0.01)
    monkeypatch.setattr("handlers.sse._READ_WITHIN_S", 0.5)
    device = await house.device()
    address = urlsplit(house.url)
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_connect(deaf, (address.hostname, address.port))
        asked = f"GET /stream HTTP/1.1\r\nHost: x\r\nX-API-Key: {house.api_key}\r\n\r\n"
        await loop.sock_sendall(deaf, asked.encode())
        feed = house.services.fleet_feed

        async def is_followed() -> bool:
            return feed.followers == 1

        async def is_let_go() -> bool:
            long_name = "x" * 100_000 + str(clock.now())
            await database["locks"].update_one(
                {"_id": device.lock_id}, {"$set": {"name": long_name}}
            )
            return feed.followers == 0

        await until(is_followed)
        await until(is_let_go)
    finally:
        deaf.close()
