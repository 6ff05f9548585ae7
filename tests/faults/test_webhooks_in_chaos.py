"""A receiver at its worst and a server that is killed: no event is missed, each lock's in order."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from server import clock
from server.domain.events import EventData, LockTampered
from server.domain.times import wire_time
from server.storage.event_store import EventStore
from server.storage.mongo import Database
from tests.faults.processes import Process, Site, free_port
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


class ChaosReceiver(Process):
    """``tests/faults/chaos_receiver.py``, always on the same port; its journal outlives it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "receiver.log")
        self._journal = folder / "received.jsonl"
        self._port = free_port()
        self._starts = 0
        self._read_up_to = 0
        self._received: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self._port}/"

    async def start(self) -> None:
        """Let it listen, and misbehave in another way than the last time."""
        self._starts += 1
        script = str(Path(__file__).with_name("chaos_receiver.py"))
        words = [str(self._port), str(self._journal), str(self._starts)]
        await self.spawn(["-u", script, *words], {})
        await self.until_said(f"listening {self._starts}")

    @property
    def received(self) -> list[dict[str, Any]]:
        """The events that it has taken, in order, each as often as it came."""
        with suppress(FileNotFoundError), self._journal.open("rb") as journal:
            journal.seek(self._read_up_to)
            for line in journal:
                if not line.endswith(b"\n"):
                    break
                self._read_up_to += len(line)
                self._received.append(json.loads(line))
        return self._received


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
