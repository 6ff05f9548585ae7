"""What a guest's page says of a key in each of its states."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from server import clock
from server.domain.temp_keys import NewDoor
from tests.house import House, until


async def test_a_valid_key_shows_its_door_and_one_open_button(house: House) -> None:
    lock = await house.lock("Garden gate")
    key = await house.key(lock)
    async with lock.connected():
        page = await house.visit(f"/temp-keys/{key.uuid}")
    assert page.status == 200
    assert page.text("h1") == "Your key to Garden gate"
    assert page.text(".chip") == "Online"
    assert [button.get_text() for button in page.html.select("form button")] == ["Open Garden gate"]


async def test_a_key_that_is_not_valid_yet_says_from_when_in_the_zone_of_its_door(
    house: House,
) -> None:
    lock = await house.lock(time_zone="Asia/Tokyo")
    valid_from = clock.now() + timedelta(days=2)
    key = await house.key(lock, valid_from=valid_from, valid_until=valid_from + timedelta(days=1))
    page = await house.visit(f"/temp-keys/{key.uuid}")
    at_the_door = valid_from.astimezone(ZoneInfo("Asia/Tokyo"))
    assert page.text("h1") == "Your key is not valid yet"
    assert f"{at_the_door:%H:%M} JST" in page.text(".lead")
    assert f"{at_the_door.day} {at_the_door:%B}" in page.text(".lead")
    assert not page.html.select("form")


async def test_an_expired_key_says_so_and_offers_nothing_to_tap(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock, valid_until=clock.now() + timedelta(milliseconds=200))

    async def expired() -> bool:
        page = await house.visit(f"/temp-keys/{key.uuid}")
        return page.text("h1") == "Your key has expired" and not page.html.select("form")

    assert await until(expired)


async def test_an_expired_key_does_not_open_its_door(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock, valid_until=clock.now() + timedelta(milliseconds=200))

    async def over() -> bool:
        return clock.now() >= key.valid_until

    await until(over)
    async with lock.connected():
        tapped = await house.tap_open(key)
    assert tapped.status == 400
    assert tapped.text("h1") == "Your key has expired"
    assert lock.openings == []


async def test_a_used_up_key_says_so_and_does_not_open_again(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock, max_uses=1)
    async with lock.connected():
        await house.tap_open(key)
        page = await house.visit(f"/temp-keys/{key.uuid}")
        again = await house.tap_open(key)
    assert page.text("h1") == "Your key is used up"
    assert not page.html.select("form")
    assert again.status == 400
    assert len(lock.openings) == 1


async def test_a_key_with_uses_says_how_many_are_left(house: House) -> None:
    lock = await house.lock()
    key = await house.key(lock, max_uses=3)
    async with lock.connected():
        await house.tap_open(key)
    page = await house.visit(f"/temp-keys/{key.uuid}")
    assert "You can use it 2 more times." in page.text("#key")


async def test_a_key_to_two_doors_has_a_button_for_each_and_opens_the_one_that_is_tapped(
    house: House,
) -> None:
    gate, flat = await house.lock("Gate"), await house.lock("Flat")
    doors = [
        NewDoor(lock_id=gate.lock_id, label="Street gate"),
        NewDoor(lock_id=flat.lock_id, label="Flat 4"),
    ]
    key = await house.key(doors=doors)
    page = await house.visit(f"/temp-keys/{key.uuid}")
    async with gate.connected(), flat.connected():
        tapped = await house.tap_open(key, door_id=2)
        confirmed = await house.visit(tapped.location)
    names = [button.get_text() for button in page.html.select("form button")]
    assert page.text("h1") == "Your key to 2 doors"
    assert names == ["Open Street gate", "Open Flat 4"]
    assert confirmed.text(".where") == "Flat 4"
    assert (len(gate.openings), len(flat.openings)) == (0, 1)


async def test_the_route_without_a_door_opens_the_first_one(house: House) -> None:
    gate, flat = await house.lock("Gate"), await house.lock("Flat")
    key = await house.key(gate, flat)
    async with gate.connected(), flat.connected():
        tapped = await house.fetch(f"/temp-keys/{key.uuid}/open", "POST", b"")
    assert tapped.status == 303
    assert (len(gate.openings), len(flat.openings)) == (1, 0)


async def test_looking_at_a_key_and_its_confirmation_opens_and_counts_nothing(
    house: House,
) -> None:
    lock = await house.lock()
    key = await house.key(lock, max_uses=1)
    async with lock.connected():
        for path in ("", "/open", "/doors/1/open", "/confirmation", "/confirmation/stream"):
            await house.visit(f"/temp-keys/{key.uuid}{path}")
            await house.fetch(f"/temp-keys/{key.uuid}{path}", "HEAD")
    assert lock.openings == []
    assert await house.used_count(key) == 0


async def test_the_page_of_an_unknown_key_is_a_page_to_a_browser_and_json_to_a_program(
    house: House,
) -> None:
    page = await house.visit("/temp-keys/no-such-key")
    answer = await house.fetch("/temp-keys/no-such-key/confirmation")
    assert (page.status, page.text("h1")) == (404, "Key not found")
    assert (answer.status, answer.json()["error"]) == (404, "Not Found")
    assert answer.json()["message"] == "The requested resource was not found"
    assert answer.json()["code"] == 404


async def test_a_door_that_the_key_does_not_have_is_not_found(house: House) -> None:
    key = await house.key(await house.lock())
    missing = await house.tap_open(key, door_id=2)
    malformed = await house.fetch(f"/temp-keys/{key.uuid}/doors/front/open", "POST", b"")
    assert missing.status == 404
    assert malformed.status == 400
