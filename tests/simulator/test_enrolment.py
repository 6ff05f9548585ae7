"""A fleet that makes its own locks on a real server, and remembers them."""

import asyncio
import stat
from pathlib import Path

import pytest

from simulator.enrolment import Enrolment
from simulator.fleet import FleetMember
from tests.house import Device, House, until
from tests.journeys.bare_lock import BareLock
from tests.simulator.test_command_line import output_of, simulator


async def filled(house: House, fleet_file: Path, count: int) -> list[FleetMember]:
    enrolment = Enrolment(house.url, house.api_key)
    return await asyncio.to_thread(enrolment.fill, fleet_file, count)


async def locks_of(house: House) -> list[int]:
    shown = (await house.manage("GET", "/locks")).json()["locks"]
    return [lock["id"] for lock in shown]


async def test_the_locks_that_are_missing_are_made_and_no_more(house: House, tmp_path: Path):
    fleet_file = tmp_path / "fleet.json"
    two = await filled(house, fleet_file, 2)
    three = await filled(house, fleet_file, 3)
    assert three[:2] == two
    assert await filled(house, fleet_file, 1) == two[:1]
    assert sorted(await locks_of(house)) == sorted(member.lock_id for member in three)


async def test_what_it_makes_can_connect_and_only_its_owner_can_read_the_tokens(
    house: House, tmp_path: Path
):
    fleet_file = tmp_path / "fleet.json"
    [member] = await filled(house, fleet_file, 1)
    assert stat.S_IMODE(fleet_file.stat().st_mode) == 0o600
    async with BareLock(house.url, Device(member.lock_id, member.token)).online() as connection:
        assert await connection.still_answers()


async def test_a_lock_that_was_there_before_keeps_its_number_and_its_token(
    house: House, tmp_path: Path
):
    devices = [await house.device() for _ in range(3)]
    members = await filled(house, tmp_path / "fleet.json", 2)
    numbers = [device.lock_id for device in devices] + [member.lock_id for member in members]
    assert len(set(numbers)) == 5
    async with BareLock(house.url, devices[0]).online() as connection:
        assert await connection.still_answers()


async def test_a_server_that_refuses_is_quoted_and_the_key_is_not(house: House, tmp_path: Path):
    enrolment = Enrolment(house.url, "lk_not-a-key")
    with pytest.raises(ValueError, match="answered 401") as refused:
        await asyncio.to_thread(enrolment.fill, tmp_path / "fleet.json", 1)
    assert "lk_not-a-key" not in str(refused.value)


async def test_a_fleet_needs_nothing_but_a_key_a_folder_and_a_number(house: House, tmp_path: Path):
    key_file = tmp_path / "key"
    key_file.write_text(house.api_key + "\n")
    fleet = ("--locks", 5, "--api-key-file", key_file, "--state", tmp_path / "locks")
    async with simulator("--url", house.url, *fleet, "--telemetry-every", 0) as process:

        async def all_online() -> bool:
            shown = (await house.manage("GET", "/locks")).json()["locks"]
            return [lock["connection"]["online"] for lock in shown] == [True] * 5

        assert await until(all_online)
        process.terminate()
        output = await output_of(process)
    assert process.returncode == 0
    assert house.api_key not in output
