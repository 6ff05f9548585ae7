"""What locks report: acknowledged once it is stored, stored once, and shown to guests."""

from datetime import datetime, timedelta

from server import clock
from server.domain.times import wire_time
from server.storage.mongo import Database
from simulator.faults import Faults
from simulator.options import LockOptions
from tests.house import QUICK_DOOR, House, until
from tests.journeys.bare_lock import BareLock


async def shown_battery(house: House, lock_id: int) -> float | None:
    telemetry = (await house.manage("GET", f"/locks/{lock_id}")).json()["telemetry"]
    return None if telemetry is None else telemetry["battery"]


async def test_a_report_that_is_acknowledged_is_stored(house: House, database: Database) -> None:
    lock = await house.lock()
    async with lock.connected():
        seq = await lock.report(battery=73)
        stored = await database["reports"].find_one({"lockId": lock.lock_id, "seq": seq})
    assert stored is not None
    assert stored["battery"] == 73


async def test_a_low_battery_is_shown_to_the_guest_as_a_warning(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)

    async def warned() -> bool:
        page = await house.visit(f"/temp-keys/{key.uuid}")
        return bool(page.html.select(".notice.battery"))

    async with lock.connected():
        await lock.report(battery=9)
        assert await until(warned)
    assert await shown_battery(house, lock.lock_id) == 9


async def test_reports_that_are_sent_twice_are_stored_once(
    house: House, database: Database
) -> None:
    options = LockOptions(times=QUICK_DOOR, telemetry_every_s=None, faults=Faults(duplicate=1))
    lock = await house.lock(options=options)
    async with lock.connected():
        for battery in (50, 49, 48):
            await lock.report(battery=battery)
    assert await database["reports"].count_documents({"lockId": lock.lock_id}) == 3


async def test_reports_that_were_kept_while_offline_arrive_with_the_next_connection(
    house: House, database: Database
) -> None:
    lock = await house.lock()
    async with lock.connected():
        await lock.report(battery=60)
    for battery in range(59, 39, -1):
        lock.record(battery=battery)
    async with lock.connected():
        await lock.wait_acknowledged()
    assert await database["reports"].count_documents({"lockId": lock.lock_id}) == 21


async def test_the_welcome_says_up_to_where_everything_is_stored(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        for seq in (1, 2, 3):
            await connection.reading(seq, battery=50)
        while (await connection.hear("ack"))["seq"] < 3:
            pass

    async def says_three() -> bool:
        async with lock.online() as connection:
            return connection.welcome["ackedSeq"] == 3

    assert await until(says_three)


async def test_a_missing_report_holds_the_acknowledgement_until_it_comes(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        await connection.reading(1, battery=50)
        assert (await connection.hear("ack"))["seq"] == 1
        await connection.reading(3, battery=48)
        gap = await connection.hear("error")
        await connection.reading(2, battery=49)
        ack = await connection.hear("ack")
    assert (gap["code"], gap["seq"]) == ("gap", 2)
    assert ack["seq"] == 3


async def test_an_older_report_that_comes_late_does_not_replace_the_newest(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        await connection.reading(1, battery=50)
        await connection.reading(2, battery=49)
        while (await connection.hear("ack"))["seq"] < 2:
            pass
        await connection.reading(1, battery=50)
        await connection.hear("ack")
        await connection.reading(3, rssi=-61)

        async def reading() -> dict[str, int] | None:
            shown = (await house.manage("GET", f"/locks/{lock.lock_id}")).json()["telemetry"]
            return shown if shown is not None and shown.get("rssi") == -61 else None

        assert (await until(reading))["battery"] == 49


async def test_a_report_that_the_server_has_forgotten_is_not_asked_for_again(
    house: House, database: Database
) -> None:
    lock = await house.lock()
    async with lock.connected():
        await lock.report(battery=73)
        flash = (lock.directory / "reports.jsonl").read_bytes()
        assert await until(lambda: shown_battery(house, lock.lock_id))
    (lock.directory / "reports.jsonl").write_bytes(flash)  # where the report still is
    await database["reports"].delete_many({})  # as MongoDB does when its time is over
    async with lock.connected():
        await lock.report(battery=72)
    stored = [report["battery"] async for report in database["reports"].find()]
    assert stored == [72]


# The lock's clock


async def until_skew(house: House, lock: BareLock) -> int:
    """Wait until the skew of a lock's clock is shown; what it is."""

    async def look() -> int | None:
        return (await house.connection(lock))["clockSkewMs"]

    return await until(look)


async def test_how_far_a_locks_clock_is_off_is_measured_by_what_it_reports_at_once(
    house: House,
) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        assert (await house.connection(lock))["clockSkewMs"] is None
        ahead = wire_time(clock.now() + timedelta(hours=1))
        await connection.say("telemetry", seq=1, at=ahead, battery=50)
        assert 3_500_000 < await until_skew(house, lock) <= 3_600_000


async def test_what_waited_in_a_batch_says_nothing_about_a_locks_clock(house: House) -> None:
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        waited = {"type": "telemetry", "seq": 1, "at": "2026-11-01T08:00:00.000Z", "battery": 50}
        await connection.say("batch", reports=[waited])

        async def battery() -> float | None:
            return await shown_battery(house, lock.lock_id)

        assert await until(battery) == 50
        assert (await house.connection(lock))["clockSkewMs"] is None


async def test_reports_of_a_lock_whose_clock_was_never_set_are_kept_by_the_servers_time(
    house: House, database: Database
) -> None:
    lock = BareLock(house.url, await house.device())
    before = clock.now().replace(microsecond=0)
    async with lock.online() as connection:
        at = "1970-01-01T00:01:40.000Z"
        await connection.say("event", seq=1, at=at, event="tampered")
        await connection.hear("ack")
        skew_ms = await until_skew(house, lock)
    stored = await database["reports"].find_one({})
    assert stored is not None
    assert stored["at"] == datetime.fromisoformat(at)
    assert stored["receivedAt"] >= before
    assert skew_ms < -1_000_000_000_000


async def test_a_simulated_lock_whose_own_clock_is_wrong_reports_in_the_servers_time(
    house: House,
) -> None:
    options = LockOptions(
        times=QUICK_DOOR, telemetry_every_s=None, faults=Faults(wrong_clock_s=-1e9)
    )
    lock = await house.lock(options=options)
    async with lock.connected():
        await lock.report(battery=50)

        async def measured() -> dict[str, int] | None:
            connection = await house.connection(lock)
            return None if connection["clockSkewMs"] is None else connection

        assert abs((await until(measured))["clockSkewMs"]) < 60_000
