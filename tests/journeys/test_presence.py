"""Whether a lock is shown online: its connection's liveness decides, and nothing else."""

import asyncio
from datetime import datetime

import pytest

from server.settings import Settings
from server.storage import mongo
from tests.house import House
from tests.journeys.bare_lock import BareLock

ROUNDS = 100


def seconds_between(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


async def test_hello_makes_a_lock_online(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.connection() as connection:
        before = await house.connection(lock)
        await connection.hello()
        after = await house.connection(lock)
    assert (before["online"], after["online"]) == (False, True)
    assert after["firmware"] == "1.0"


async def test_a_welcome_says_how_liveness_is_measured(house: House, settings: Settings) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        welcome = connection.welcome
    assert welcome["heartbeatSeconds"] == settings.heartbeat_s
    assert welcome["offlineAfterSeconds"] == settings.offline_after_s


async def test_a_goodbye_makes_a_lock_offline_because_it_closed(house: House) -> None:
    lock = await house.lock()
    async with lock.connected():
        assert (await house.connection(lock))["online"]
    connection = await house.until_offline(lock)
    assert connection["offlineReason"] == "closed"


async def test_a_connection_that_breaks_makes_a_lock_offline_because_it_closed(
    house: House,
) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        connection.drop()
        presence = await house.until_offline(lock)
    assert presence["offlineReason"] == "closed"


async def test_a_silent_lock_is_offline_by_timeout_within_the_promised_time(
    house: House, settings: Settings
) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        connection.stop_reading()
        presence = await house.until_offline(lock)
    silent_for = seconds_between(presence["lastSeenAt"], presence["since"])
    assert presence["offlineReason"] == "timeout"
    assert silent_for <= settings.offline_after_s


async def test_a_lock_that_answers_pings_stays_online_though_it_says_nothing(
    house: House, settings: Settings
) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        with pytest.raises(TimeoutError):
            await house.until_offline(lock, settings.offline_after_s * 1.5)
        assert await connection.still_answers()


async def test_a_lock_that_comes_back_from_silence_is_online_again(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        connection.stop_reading()
        await house.until_offline(lock)
        connection.read_again()
        await connection.closed()
    async with lock.online():
        presence = await house.connection(lock)
    assert presence["online"]


async def test_a_lock_whose_goodbye_was_not_recorded_is_offline_when_its_node_looks(
    house: House, database: mongo.Database
) -> None:
    gone, here = [BareLock(house.url, await house.device()) for _ in range(2)]
    locks = database["locks"]
    async with here.online():
        async with gone.online():
            online = await locks.find_one({"_id": gone.lock_id}, {"connection": True})
        await house.until_offline(gone)
        assert online is not None
        await locks.update_one({"_id": gone.lock_id}, {"$set": online})
        assert (await house.connection(gone))["online"]
        presence = await house.until_offline(gone)
        assert (await house.connection(here))["online"]
    assert presence["offlineReason"] == "closed"


async def test_no_reading_is_taken_as_proof_of_life(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        await connection.reading(1, battery=50)
        await connection.hear("ack")
        connection.drop()
        await house.until_offline(lock)
        assert not (await house.connection(lock))["online"]


async def test_a_new_connection_supersedes_the_old_one(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as old, lock.online() as new:
        assert await old.closed() == 4000
        assert await new.still_answers()
        assert (await house.connection(lock))["online"]


async def test_a_lock_whose_newer_connection_was_dead_when_it_was_let_in_connects_again(
    house: House, database: mongo.Database
) -> None:
    """A node that stood still takes up a ``hello`` that its lock has given up on long ago."""
    lock = BareLock(house.url, await house.device())
    async with lock.online() as only:
        dead = {"connection.sessionId": "dead", "connection.online": False}
        let_in = {"$set": dead, "$inc": {"sessionCount": 1}}
        await database["locks"].update_one({"_id": lock.lock_id}, let_in)
        await house.services.sessions.check_all()
        assert await only.closed() == 1013
    async with lock.online():
        assert (await house.connection(lock))["online"]


async def test_what_the_superseded_connection_still_says_does_not_count(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as old:
        tapped = asyncio.create_task(house.tap_open(key))
        command = await old.hear("command")
        await tapped
        async with lock.connection() as new:
            await asyncio.gather(new.hello(), old.result(command["id"], "refused", reason="late"))
            await old.closed()
            shown = await house.command(command["id"])
    assert shown["state"] in ("sent", "refused")  # refused where it was said before the hello
    assert len(shown["history"]) == (2 if shown["state"] == "sent" else 3)


async def test_a_lock_that_flaps_ends_as_it_was_last(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    for _ in range(50):
        async with lock.online():
            pass
    presence = await house.until_offline(lock)
    assert presence["offlineReason"] == "closed"
    async with lock.online():
        assert (await house.connection(lock))["online"]
