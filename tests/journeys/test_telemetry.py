"""What locks report: acknowledged once it is stored, stored once, and shown to guests."""

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

    async def battery() -> float | None:
        return await shown_battery(house, lock.lock_id)

    assert await until(battery) == 49
