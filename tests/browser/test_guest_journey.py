"""The guest's way from link to open door, in a real browser."""

import re
from urllib.parse import urlsplit

from playwright.async_api import Request, Route

from server.domain.temp_keys import NewDoor
from tests.browser.phone import Phone
from tests.house import House, until
from tests.journeys.bare_lock import BareLock

WAITED_FOR = """() => performance.getEntriesByType("resource").filter(
    (file) => file.renderBlockingStatus === "blocking"
).map((file) => new URL(file.name).pathname)"""
"""What the browser waited for, beside the page itself, before it showed anything."""


async def test_a_tap_on_the_button_ends_on_a_page_that_says_the_door_is_open(
    house: House, phone: Phone
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The door is open")
    assert f"/temp-keys/{key.uuid}/confirmation?" in phone.page.url
    assert len(lock.openings) == 1


async def test_the_confirmation_follows_the_lock_without_reloading_and_then_stops(
    house: House, phone: Phone
) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    pages: list[str] = []
    streams_ended: list[str] = []

    def note(request: Request) -> None:
        if "/confirmation/stream" in request.url:
            streams_ended.append(request.url)

    phone.page.on("requestfinished", note)
    phone.page.on("requestfailed", note)
    async with lock.online() as connection:
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("Sent to the lock")
        phone.page.on("framenavigated", lambda frame: pages.append(frame.url))
        command = await connection.hear("command")
        await connection.result(command["id"], "accepted")
        await phone.wait_for_heading("The lock has it")
        await connection.result(command["id"], "opened")
        await phone.wait_for_heading("The door is open")

        async def stream_ended() -> list[str]:
            return streams_ended

        await until(stream_ended)
    assert pages == []
    assert await phone.page.title() == "The door is open · Test house"
    assert await phone.page.locator("#status").get_attribute("data-final") == "true"


async def test_without_script_the_form_and_its_pages_do_the_same(
    house: House, phone_without_script: Phone
) -> None:
    phone = phone_without_script
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("Sent to the lock")
        command = await connection.hear("command")
        await connection.result(command["id"], "opened")
        await phone.wait_for_heading("The door is open")
    assert await phone.page.locator('meta[http-equiv="refresh"]').count() == 0


async def test_a_double_tap_opens_once(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.page.get_by_role("button", name="Open Front door").dblclick()
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1


async def test_a_double_tap_without_script_opens_once(
    house: House, phone_without_script: Phone
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await phone_without_script.visit(f"/temp-keys/{key.uuid}")
        await phone_without_script.page.get_by_role("button", name="Open Front door").dblclick()
        await phone_without_script.wait_for_heading("The door is open")
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1


async def test_reloading_the_confirmation_opens_nothing(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The door is open")
        await phone.page.reload()
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 1


async def test_going_back_and_forward_opens_nothing(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The door is open")
        await phone.page.go_back()
        await phone.wait_for_heading("Your key to Front door")
        button = phone.page.get_by_role("button", name="Open Front door")
        assert await button.is_enabled()
        await phone.page.go_forward()
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 1


async def test_the_way_back_to_the_key_leads_to_a_second_opening(
    house: House, phone: Phone
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The door is open")
        await phone.page.get_by_role("link", name="Back to your key").click()
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 2


async def test_the_door_opens_by_keyboard_alone(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    keyboard = phone.page.keyboard
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await keyboard.press("Tab")
        focused = phone.page.locator(":focus")
        assert await focused.inner_text() == "Skip to the content"
        await keyboard.press("Tab")
        assert await focused.inner_text() == "Open Front door"
        await keyboard.press("Enter")
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 1


async def test_an_offline_lock_is_told_before_and_after_the_tap(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    await phone.visit(f"/temp-keys/{key.uuid}")
    await phone.page.get_by_text("This lock is offline").wait_for()
    await phone.tap("Open Front door")
    await phone.wait_for_heading("Waiting for the lock")
    await phone.wait_for_heading("The lock was offline")
    async with lock.connected():
        await lock.report(battery=50)
    assert lock.openings == []


async def test_an_unanswered_opening_ends_on_a_page_that_does_not_guess(
    house: House, phone: Phone
) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("No answer from the lock")


async def test_a_phone_without_signal_says_so_and_goes_on_by_itself(
    house: House, phone: Phone
) -> None:
    lock = BareLock(house.url, await house.device())
    key = await house.key(lock)
    async with lock.online() as connection:
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        command = await connection.hear("command")
        await phone.wait_for_heading("Sent to the lock")
        await phone.page.context.set_offline(True)
        await phone.page.get_by_text("Your phone has no signal").wait_for()
        await connection.result(command["id"], "opened")
        await phone.page.context.set_offline(False)
        await phone.wait_for_heading("The door is open")
    assert await phone.page.locator("#signal").inner_text() == ""
    phone.complaints.clear()  # the browser's own, about the requests that did not get through


async def test_without_script_a_careful_lock_is_opened_with_a_second_tap(
    house: House, phone_without_script: Phone
) -> None:
    phone = phone_without_script
    lock = await house.lock()
    key = await house.key(lock)
    await house.manage("PATCH", f"/locks/{lock.lock_id}", {"openConfirmation": True})
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}?lang=it")
        await phone.tap("Apri Front door")
        await phone.wait_for_heading("Aprire Front door?")
        assert lock.openings == []
        await phone.tap("Sì, apri")
        await phone.wait_for_heading("La porta è aperta")
    assert len(lock.openings) == 1


async def test_without_script_a_tap_on_an_old_page_is_asked_about(
    house: House, phone_without_script: Phone
) -> None:
    async def as_if_it_had_been_made_long_ago(route: Route) -> None:
        answer = await route.fetch()
        html = re.sub(
            'name="shownAt" value="[0-9]+"', 'name="shownAt" value="0"', await answer.text()
        )
        await route.fulfill(response=answer, body=html)

    phone = phone_without_script
    lock = await house.lock()
    key = await house.key(lock)
    await phone.page.route(f"**/temp-keys/{key.uuid}", as_if_it_had_been_made_long_ago)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("Open Front door?")
        assert lock.openings == []
        await phone.tap("Yes, open it")
        await phone.wait_for_heading("The door is open")
    assert len(lock.openings) == 1


async def test_a_second_tap_says_when_it_was(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    await house.manage("PATCH", f"/locks/{lock.lock_id}", {"openConfirmation": True})
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        async with phone.page.expect_request(lambda asked: asked.method == "POST") as tap:
            await phone.tap("Yes, open it")
        await phone.wait_for_heading("The door is open")
    assert "tappedAt=" in ((await tap.value).post_data or "")
    assert len(lock.openings) == 1


async def test_a_phone_in_another_time_zone_is_told_its_own_time_as_well(
    house: House, phone: Phone
) -> None:
    clock = await phone.page.context.new_cdp_session(phone.page)
    await clock.send("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})
    key = await house.key(await house.lock(time_zone="Europe/Rome"))
    await phone.visit(f"/temp-keys/{key.uuid}")
    assert await phone.page.get_by_text("clock: ").count() == 2
    await clock.send("Emulation.setTimezoneOverride", {"timezoneId": "Europe/Rome"})
    await phone.page.reload()
    assert await phone.page.get_by_text("clock: ").count() == 0


async def test_the_confirmation_is_read_aloud_in_order(house: House, phone: Phone) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Front door")
        await phone.wait_for_heading("The door is open")
    heard = await phone.page.locator("main").aria_snapshot()
    in_order = [
        "- status:",
        "paragraph: Front door",
        '- heading "The door is open" [level=1]',
        "paragraph: Push it now.",
        '- heading "What next" [level=2]',
        "paragraph: It can be pushed for about 5 seconds.",
        '- link "Back to your key"',
        '- heading "Details" [level=2]',
        "term: Reference",
    ]
    places = [heard.find(line) for line in in_order]
    assert -1 not in places, heard
    assert places == sorted(places), heard
    assert "img" not in heard
    # After the tap the heading has the focus: a screen reader goes on from there.
    assert await phone.page.locator(":focus").inner_text() == "The door is open"


async def test_each_of_two_doors_opens_with_its_own_button(house: House, phone: Phone) -> None:
    gate, flat = await house.lock("Gate"), await house.lock("Flat")
    doors = [
        NewDoor(lock_id=gate.lock_id, label="Street gate"),
        NewDoor(lock_id=flat.lock_id, label="Flat 4"),
    ]
    key = await house.key(doors=doors)
    async with gate.connected(), flat.connected():
        await phone.visit(f"/temp-keys/{key.uuid}")
        await phone.tap("Open Flat 4")
        await phone.wait_for_heading("The door is open")
    assert (len(gate.openings), len(flat.openings)) == (0, 1)


async def test_the_first_look_at_a_key_takes_its_page_and_its_style_and_nothing_more(
    house: House, phone: Phone
) -> None:
    key = await house.key(await house.lock())
    asked: list[str] = []
    phone.page.on("request", lambda request: asked.append(request.url))
    await phone.visit(f"/temp-keys/{key.uuid}")
    assert await phone.page.evaluate(WAITED_FOR) == ["/static/latchkey.css"]
    loaded = {urlsplit(url).path for url in asked} - {"/static/favicon.svg"}  # when it likes
    assert loaded == {f"/temp-keys/{key.uuid}", "/static/latchkey.css", "/static/latchkey.js"}
