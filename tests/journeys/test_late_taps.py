"""A tap that was long on its way: late is never."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from server.domain.commands import PAGE_GOOD_FOR, new_attempt
from server.domain.temp_keys import TempKey
from tests.house import BROWSER, House, Page, command_id_of

LIFE = timedelta(seconds=3)  # as the tests' servers are set
A_MILLISECOND = timedelta(milliseconds=1)


async def test_a_tap_older_than_a_commands_life_is_refused_and_takes_no_use(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        page = await _tap(house, key, tapped_at=datetime.now(UTC) - LIFE)
    assert page.status == 409
    assert page.text("h1") == "Your tap came too late"
    assert lock.openings == []
    assert await house.used_count(key) == 0


async def test_a_late_repeat_of_a_tap_tells_what_became_of_it(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    attempt = new_attempt()
    async with lock.connected():
        first = await _tap(house, key, tapped_at=datetime.now(UTC), attempt=attempt)
        late = await _tap(house, key, tapped_at=datetime.now(UTC) - LIFE, attempt=attempt)
    assert late.location == first.location
    assert len(lock.openings) == 1


async def test_a_commands_life_counts_from_the_tap(house: House) -> None:
    lock = await house.lock()
    tapped_at = datetime.now(UTC) - timedelta(seconds=1)
    page = await _tap(house, await house.key(lock), tapped_at=tapped_at)
    command = await house.command(command_id_of(page))
    assert abs(datetime.fromisoformat(command["expiresAt"]) - tapped_at - LIFE) <= A_MILLISECOND


async def test_a_tap_said_to_be_in_the_future_lives_no_longer_than_others(house: House) -> None:
    lock = await house.lock()
    in_a_day = datetime.now(UTC) + timedelta(days=1)
    page = await _tap(house, await house.key(lock), tapped_at=in_a_day)
    command = await house.command(command_id_of(page))
    assert datetime.fromisoformat(command["expiresAt"]) < in_a_day


async def test_a_tap_on_an_old_page_that_does_not_say_when_it_was_is_asked_about(
    house: House,
) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        old = await _tap(house, key, shown_at=datetime.now(UTC) - PAGE_GOOD_FOR)
        assert old.location == f"/temp-keys/{key.uuid}/doors/1/open"
        question = await house.visit(old.location)
        assert question.text("h1") == "Open Front door?"
        assert (lock.openings, await house.used_count(key)) == ([], 0)
        fields = {
            str(field["name"]): str(field["value"]) for field in question.html.select("input")
        }
        tapped = await _post(house, key, fields)
        assert (await house.visit(tapped.location)).text("h1") == "The door is open"
    assert len(lock.openings) == 1


async def test_a_late_repeat_of_a_tap_on_an_old_page_tells_what_became_of_it(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    attempt = new_attempt()
    async with lock.connected():
        first = await _tap(house, key, shown_at=datetime.now(UTC), attempt=attempt)
        late = await _tap(house, key, shown_at=datetime.now(UTC) - PAGE_GOOD_FOR, attempt=attempt)
    assert late.location == first.location
    assert len(lock.openings) == 1


async def test_a_tap_that_says_when_it_was_opens_however_old_its_page_is(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock)
    now = datetime.now(UTC)
    async with lock.connected():
        await _tap(house, key, tapped_at=now, shown_at=now - timedelta(hours=1))
    assert len(lock.openings) == 1


async def _tap(house: House, key: TempKey, attempt: str = "", **times: datetime) -> Page:
    """Tap as a form does that holds such times."""
    named = {"tapped_at": "tappedAt", "shown_at": "shownAt"}
    fields = {named[name]: str(int(time.timestamp() * 1000)) for name, time in times.items()}
    return await _post(house, key, {"attempt": attempt or new_attempt(), **fields})


async def _post(house: House, key: TempKey, fields: dict[str, str]) -> Page:
    return await house.fetch(
        f"/temp-keys/{key.uuid}/doors/1/open",
        method="POST",
        body=urlencode(fields),
        Accept=BROWSER,
        Content_Type="application/x-www-form-urlencoded",
    )
