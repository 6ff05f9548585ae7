"""A tap that was long on its way: late is never."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from server.domain.commands import new_attempt
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


async def _tap(house: House, key: TempKey, tapped_at: datetime, attempt: str = "") -> Page:
    when = int(tapped_at.timestamp() * 1000)
    return await house.fetch(
        f"/temp-keys/{key.uuid}/doors/1/open",
        method="POST",
        body=urlencode({"attempt": attempt or new_attempt(), "tappedAt": when}),
        Accept=BROWSER,
        Content_Type="application/x-www-form-urlencoded",
    )
