"""The events at the desk: the newest first, filtered, and as files that hold all of them."""

import csv
import io

import msgspec
import pytest

from handlers.dashboard import events as pages
from tests.handlers.dashboard.desk import Desk
from tests.house import Device, House, until


async def furnish(house: House, count: int) -> Device:
    """A lock with so many cards, and with all of that told."""
    device = await house.device("Garden gate")
    for number in range(count):
        path = f"/locks/{device.lock_id}/AddKey"
        await house.manage("POST", path, {"keyUuid": f"card-{number}"})

    async def all_told() -> bool:
        told = (await house.manage("GET", "/events?type=KeyAdded")).json()["events"]
        return len(told) == count

    await until(all_told)
    return device


async def test_the_newest_come_first_and_older_ones_behind_a_link(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pages, "_EVENTS_ON_A_PAGE", 2)
    await furnish(house, 3)
    desk = await Desk.of(house)
    page = await desk.visit("/dashboard/events?type=KeyAdded")
    positions = [str(line["id"]) for line in page.html.select("#feed li")]
    assert positions == sorted(positions, reverse=True)
    assert len(positions) == 2
    older = page.html.select_one("a[rel=next]")
    assert older is not None
    rest = await desk.visit(str(older["href"]))
    assert len(rest.html.select("#feed li")) == 1


async def test_filters_are_in_the_address(house: House):
    device = await furnish(house, 1)
    await house.device("Shed")
    desk = await Desk.of(house)
    kinds = (await desk.visit("/dashboard/events?type=KeyAdded")).html.select("#feed li")
    assert {str(line["data-type"]) for line in kinds} == {"KeyAdded"}
    of_lock = (await desk.visit(f"/dashboard/events?lock={device.lock_id}")).html
    assert {str(line["data-lock"]) for line in of_lock.select("#feed li")} == {str(device.lock_id)}


async def test_files_hold_every_event_in_order_however_many_batches_that_takes(
    house: House, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(pages, "_WRITTEN_AT_ONCE", 2)
    await furnish(house, 5)
    desk = await Desk.of(house)
    table = (await desk.visit("/dashboard/events.csv?type=KeyAdded")).response.body.decode()
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [row["type"] for row in rows] == ["KeyAdded"] * 5
    assert rows == sorted(rows, key=lambda row: int(row["position"]))
    lines = (await desk.visit("/dashboard/events.jsonl?type=KeyAdded")).response.body.splitlines()
    listed = (await house.manage("GET", "/events?type=KeyAdded")).json()["events"]
    assert [msgspec.json.decode(line) for line in lines] == listed


async def test_no_cell_of_the_table_is_a_formula(house: House):
    device = await house.device()
    await house.manage("POST", f"/locks/{device.lock_id}/SetOwner", {"userId": "=1+1"})
    desk = await Desk.of(house)

    async def table() -> str | None:
        text = (await desk.visit("/dashboard/events.csv?type=OwnerSet")).response.body.decode()
        return text if "OwnerSet" in text else None

    for row in csv.reader(io.StringIO(await until(table))):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]


async def test_without_events_the_page_says_what_will_be_there(house: House):
    page = await (await Desk.of(house)).visit("/dashboard/events")
    assert "Nothing has happened yet" in page.text(".empty")
