"""A receiver at its worst and a server that is killed: no event is missed, each lock's in order."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from server import clock
from server.domain.events import EventData, LockTampered
from server.domain.times import wire_time
from server.storage.event_store import EventStore
from server.storage.mongo import Database
from tests.faults.processes import ChaosReceiver, Site
from tests.house import until

LOCKS = 20
EVENTS = 2000
IN_ONE_GO = 100
SETTINGS = {
    "webhook_secret": "a secret for tests, of 32 bytes or more",
    "webhook_loopback": "true",
    "webhook_timeout_s": "0.5",
    "webhook_retries_s": ",".join(["0.05"] * 20),
}


@pytest.fixture
def receiver(io_loop: IOLoop, tmp_path: Path) -> Iterator[ChaosReceiver]:
    receiver = ChaosReceiver(tmp_path)
    io_loop.run_sync(receiver.start)
    yield receiver
    io_loop.run_sync(receiver.kill)


async def happen(database: Database, lock_ids: list[int], count: int) -> None:
    """So many events at these locks, in turn."""
    store = EventStore(database)
    for _ in range(count // IN_ONE_GO):
        now = clock.now()
        events: list[EventData] = [
            LockTampered(
                lock_id=lock_ids[number % len(lock_ids)], timestamp=wire_time(now), uuid="a-lock"
            )
            for number in range(IN_ONE_GO)
        ]
        await store.record(events, now)


async def test_two_thousand_events_all_arrive_in_order_through_every_kind_of_trouble(
    site: Site, database: Database, receiver: ChaosReceiver
) -> None:
    lock_ids = [device.lock_id for device in (await site.locks(LOCKS)).all]
    await site.server.start(**SETTINGS)
    wanted = {"url": receiver.url, "events": ["LockTampered"]}
    webhook = (await site.manage("POST", "/webhooks", wanted)).json()

    async def so_many_have_arrived(count: int) -> bool:
        return len({event["id"] for event in receiver.received}) >= count

    await happen(database, lock_ids, EVENTS // 2)
    await until(lambda: so_many_have_arrived(EVENTS // 5))
    await site.server.kill()
    at_the_kill = len(receiver.received)
    await receiver.kill()
    await happen(database, lock_ids, EVENTS // 2)
    await site.server.start(**SETTINGS)
    await receiver.start()
    await until(lambda: so_many_have_arrived(EVENTS // 4 * 3), timeout_s=30)
    await receiver.kill()
    await receiver.start()
    await until(lambda: so_many_have_arrived(EVENTS), timeout_s=30)

    async def nothing_waits() -> dict[str, Any] | None:
        shown = (await site.manage("GET", f"/webhooks/{webhook['id']}")).json()
        return shown if shown["locksWaiting"] == 0 else None

    await until(nothing_waits)
    happened = {
        document["_id"]: (document["lockId"], document["version"])
        async for document in database["events"].find({"type": "LockTampered"})
    }
    first_came: defaultdict[int, list[int]] = defaultdict(list)
    for event in receiver.received:
        assert happened[event["id"]] == (event["lock"], event["version"])
        if event["version"] not in first_came[event["lock"]]:
            first_came[event["lock"]].append(event["version"])
    arrived = {(lock, version) for lock, seen in first_came.items() for version in seen}
    assert len(happened) == EVENTS
    assert arrived == set(happened.values())
    assert all(versions == sorted(versions) for versions in first_came.values())
    # Else it was no trouble at all.
    assert EVENTS // 5 <= at_the_kill < EVENTS
    assert len(receiver.received) > EVENTS
