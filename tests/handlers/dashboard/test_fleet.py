"""The fleet page: what needs attention first, found, filtered, and light."""

from collections.abc import Callable
from datetime import timedelta

from server import clock
from server.domain.secrets import new_id, new_uuid
from server.storage.mongo import Database
from tests.handlers.dashboard.desk import Desk
from tests.house import House, Page, until


async def furnish(house: House, database: Database) -> None:
    """A fleet with one lock for each trouble, and two without any."""
    now = clock.now()
    # They are the running node's, or it would take them offline.
    node = await until(lambda: database["nodes"].find_one({}))
    online = {"connection.online": True, "connection.since": now - timedelta(days=3)}
    gone = {
        "connection.online": False,
        "connection.since": now - timedelta(minutes=48),
        "connection.offlineReason": "timeout",
    }
    reading = {"seq": 1, "epoch": "e", "at": now, "receivedAt": now, "battery": 80.0, "rssi": -70}
    states = {
        "Attic": online | {"telemetry": reading},
        "Barn": online | {"telemetry": reading, "connection.firmware": "2.0"},
        "Cellar": online | {"telemetry": reading | {"bolt": "jammed"}},
        "Dairy": online | {"telemetry": reading | {"battery": 9.0}},
        "Eaves": gone,
        "Forge": {},
    }
    for name, state in states.items():
        device = await house.device(name)
        live = {"connection.nodeId": node["_id"], "connection.sessionId": new_id()} if state else {}
        if state:
            await database["locks"].update_one({"_id": device.lock_id}, {"$set": state | live})


def names(page: Page) -> list[str]:
    return [row.get_text() for row in page.html.select("tbody th a")]


async def test_locks_with_problems_come_first_the_worst_on_top(house: House, database: Database):
    await furnish(house, database)
    page = await (await Desk.of(house)).visit()
    assert names(page) == ["Eaves", "Cellar", "Dairy", "Forge", "Attic", "Barn"]
    assert page.text("h1") == "4 of 6 locks need attention"
    eaves = page.text("tbody tr:first-child [data-cell=state]")
    assert eaves == "Offline It stopped answering 48 minutes ago"


async def test_what_needs_attention_is_counted_and_each_count_leads_to_its_locks(
    house: House, database: Database
):
    await furnish(house, database)
    desk = await Desk.of(house)
    links = {
        link.get_text(" ", strip=True): str(link["href"])
        for link in (await desk.visit()).html.select("#attention a")
    }
    found = {words: names(await desk.visit(url)) for words, url in links.items()}
    assert found["Offline 1"] == ["Eaves"]
    assert found["Jammed 1"] == ["Cellar"]
    assert found["Battery low 1"] == ["Dairy"]
    assert found["Never connected 1"] == ["Forge"]
    assert len(found["Need attention 4"]) == 4
    assert len(found["All 6"]) == 6


async def test_a_page_that_is_open_can_ask_for_the_counts_alone(house: House, database: Database):
    await furnish(house, database)
    part = await (await Desk.of(house)).visit("/dashboard/attention?show=offline&q=a")
    chosen = part.html.select_one("#attention a[aria-current]")
    assert chosen is not None
    assert chosen.get_text(" ", strip=True) == "Offline 1"
    assert chosen["href"] == "/dashboard?q=a&show=offline"
    assert part.html.select_one("html") is None


async def test_search_and_firmware_are_in_the_address(house: House, database: Database):
    await furnish(house, database)
    desk = await Desk.of(house)
    assert names(await desk.visit("/dashboard?q=BAR")) == ["Barn"]
    assert names(await desk.visit("/dashboard?firmware=2.0")) == ["Barn"]
    nothing = await desk.visit("/dashboard?q=barn&show=jammed")
    assert names(nothing) == []
    assert "No lock fits" in nothing.text(".empty")


async def test_an_empty_fleet_says_what_to_do_next(house: House):
    page = await (await Desk.of(house)).visit()
    assert page.text("h1") == "No locks yet"
    assert "lock create" in page.text(".card")


async def test_a_bar_shows_what_is_known_of_two_days_of_presence_and_says_so(house: House):
    lock = await house.lock()
    async with lock.connected():
        pass
    await house.until_offline(lock)
    desk = await Desk.of(house)

    async def bar() -> str | None:
        shown = (await desk.visit()).html.select_one("svg.bar")
        words = "" if shown is None else str(shown["aria-label"])
        return words if "offline" in words else None

    words = await until(bar)
    assert words.startswith("Online ")
    assert "of what is known of the last 48 hours" in words


async def test_two_thousand_locks_are_light_and_in_pages(
    house: House, database: Database, record_property: Callable[[str, object], None]
):
    now = clock.now()
    await database["locks"].insert_many(
        [
            {
                "_id": number,
                "uuid": new_uuid(),
                "orgId": house.organization.id,
                "name": f"Holiday home {number}",
                "createdAt": now,
                "connection": {"online": False, "since": now - timedelta(minutes=number)},
            }
            for number in range(1, 2001)
        ]
    )
    desk = await Desk.of(house)
    page = await desk.visit()
    sent, took_ms = len(page.response.body), 1000 * (page.response.request_time or 0)
    record_property("fleet of 2000 locks", f"{took_ms:.0f} ms, {sent / 1000:.0f} KB sent")
    assert sent < 150_000
    assert len(names(page)) == 50
    last = await desk.visit("/dashboard?page=40")
    assert names(last)[-1] == "Holiday home 2000"
    assert names(await desk.visit("/dashboard?page=4000")) == names(last)
