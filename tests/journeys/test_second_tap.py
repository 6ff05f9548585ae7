"""A lock that asks its guests whether they are sure."""

from datetime import timedelta

from server import clock
from simulator.simulated_lock import SimulatedLock
from tests.house import BROWSER, House, Page

ASKS = {"openConfirmation": True}
FORM = "application/x-www-form-urlencoded"


async def careful_lock(house: House) -> SimulatedLock:
    lock = await house.lock()
    assert (await house.manage("PATCH", f"/locks/{lock.lock_id}", ASKS)).status == 200
    return lock


def open_url(page: Page) -> str:
    form = page.html.select_one("form")
    assert form is not None
    return str(form["action"])


async def post(house: House, url: str, body: str, accept: str = BROWSER) -> Page:
    return await house.fetch(url, "POST", body, Accept=accept, Content_Type=FORM)


async def test_the_first_tap_asks_and_the_second_opens(house: House) -> None:
    lock = await careful_lock(house)
    key = await house.key(lock)
    async with lock.connected():
        page = await house.visit(f"/temp-keys/{key.uuid}")
        assert page.html.select("form[method=post]") == []
        question = await house.visit(open_url(page))
        assert question.text("h1") == "Open Front door?"
        assert (lock.openings, await house.used_count(key)) == ([], 0)
        fields = {
            str(field["name"]): str(field["value"]) for field in question.html.select("input")
        }
        tapped = await post(
            house,
            open_url(question),
            f"attempt={fields['attempt']}&confirmed={fields['confirmed']}",
        )
        assert (await house.visit(tapped.location)).text("h1") == "The door is open"
    assert len(lock.openings) == 1


async def test_a_page_from_before_the_question_was_wanted_leads_to_it(house: House) -> None:
    lock = await careful_lock(house)
    key = await house.key(lock)
    async with lock.connected():
        tapped = await post(house, f"/temp-keys/{key.uuid}/open?lang=it", "attempt=old")
        assert tapped.status == 303
        assert tapped.location == f"/temp-keys/{key.uuid}/doors/1/open?lang=it"
    assert (lock.openings, await house.used_count(key)) == ([], 0)


async def test_a_tap_that_opened_is_not_asked_about_when_it_is_repeated(house: House) -> None:
    lock = await careful_lock(house)
    key = await house.key(lock)
    url = f"/temp-keys/{key.uuid}/doors/1/open"
    async with lock.connected():
        first = await post(house, url, "attempt=same&confirmed=yes")
        second = await post(house, url, "attempt=same")
    assert second.location == first.location
    assert len(lock.openings) == 1


async def test_a_program_asks_its_user_itself(house: House) -> None:
    lock = await careful_lock(house)
    key = await house.key(lock)
    async with lock.connected():
        tapped = await post(house, f"/temp-keys/{key.uuid}/open", "attempt=one", accept="*/*")
        assert "/confirmation?" in tapped.location
    assert len(lock.openings) == 1


async def test_the_question_of_a_door_that_may_not_be_opened_leads_back_to_the_key(
    house: House,
) -> None:
    tomorrow = clock.now() + timedelta(days=1)
    window = {"valid_from": tomorrow, "valid_until": tomorrow + timedelta(days=1)}
    key = await house.key(await house.lock(), **window)
    visited = await house.visit(f"/temp-keys/{key.uuid}/doors/1/open")
    assert (visited.status, visited.location) == (303, f"/temp-keys/{key.uuid}")
