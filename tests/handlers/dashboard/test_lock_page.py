"""The page of one lock, opening it from the desk, and replacing its credential."""

import pytest

from server.domain.commands import new_attempt
from tests.handlers.dashboard.desk import Desk
from tests.house import House, Page, until


def path_of(lock_id: int, more: str = "") -> str:
    return f"/dashboard/locks/{lock_id}{more}"


async def test_readings_are_charts_that_say_what_they_show(house: House):
    lock = await house.lock("Garden gate")
    desk = await Desk.of(house)
    async with lock.connected():
        await lock.report(battery=80)
        await lock.report(battery=70, rssi=-66)

        async def page() -> Page | None:
            shown = await desk.visit(path_of(lock.lock_id))
            return shown if len(shown.html.select("svg.chart")) >= 2 else None

        charts = (await until(page)).html.select("svg.chart")
    assert charts[0]["aria-label"] == "Battery: 70 % now; between 70 % and 80 %"
    assert charts[1]["aria-label"] == "Signal: -66 dBm now; the same all the time"


async def test_a_lock_without_readings_says_what_to_expect(house: House):
    device = await house.device()
    page = await (await Desk.of(house)).visit(path_of(device.lock_id))
    assert "reported nothing" in page.html.get_text()
    assert "Nobody has opened it yet" in page.html.get_text()


async def test_open_now_opens_once_however_often_its_form_is_sent(house: House):
    lock = await house.lock("Garden gate")
    desk = await Desk.of(house)
    form = {"attempt": new_attempt(), "reason": "Guest without a phone"}
    async with lock.connected():
        first = await desk.press(path_of(lock.lock_id, "/open"), form)
        again = await desk.press(path_of(lock.lock_id, "/open"), form)
        assert first.status == 303
        assert again.location == first.location
        page = await desk.visit(first.location.partition("#")[0])
        assert "Opened" in page.text("#asked")
    assert len(await house.commands_of(lock)) == 1


async def test_open_now_says_that_a_lock_is_offline_and_leads_back(house: House):
    device = await house.device()
    page = await (await Desk.of(house)).press(path_of(device.lock_id, "/open"))
    assert page.status == 502
    assert page.text("h1") == "The lock is offline"
    back = page.html.select_one("main a.button")
    assert back is not None
    assert back["href"] == path_of(device.lock_id)


async def test_a_new_credential_is_shown_once_and_is_good(house: House):
    device = await house.device()
    desk = await Desk.of(house)
    page = await desk.press(path_of(device.lock_id, "/credential"), {"sure": "yes"})
    token = page.html.select_one("#token")
    assert token is not None
    assert await house.services.auth.lock(device.lock_id, str(token["value"]))
    assert str(token["value"]) not in (await desk.visit(path_of(device.lock_id))).html.decode()


async def test_a_credential_stays_where_nobody_said_to_be_sure(house: House):
    device = await house.device()
    page = await (await Desk.of(house)).press(path_of(device.lock_id, "/credential"))
    assert page.status == 400
    assert await house.services.auth.lock(device.lock_id, device.token)


@pytest.mark.parametrize("more", ["/open", "/credential"])
async def test_nothing_is_done_to_somebody_elses_lock(house: House, more: str):
    device = await house.device()
    other = await house.services.provisioning.create_organization("Other house")
    stranger = await Desk.of(house, await house.services.provisioning.issue_api_key(other.id))
    page = await stranger.press(path_of(device.lock_id, more), {"sure": "yes"})
    assert page.status == 404
    assert await house.services.auth.lock(device.lock_id, device.token)
