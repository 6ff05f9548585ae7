"""Opening with a PIN over HTTP: a real server, a real lock, and whoever guesses."""

import asyncio
import logging
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import uuid4

import pytest
from msgspec import structs

from server import clock
from server.domain.schedule import Weekday
from server.domain.temp_keys import AccessMethod, NewDoor, TempKey
from server.settings import Secret, Settings
from server.storage.mongo import Database
from simulator.options import LockOptions
from tests.house import BROWSER, HasLockId, House, Page
from tests.journeys.bare_lock import BareLock

PIN_SECRET = "a secret for PINs, of 32 bytes or more"
HOUR = timedelta(hours=1)
OPENED = {"success": True, "offline": False}
OFFLINE = {"success": False, "offline": True}
NOT_OPENED = {"success": False, "offline": False}
REFUSED = {
    "success": False,
    "error": "Invalid PIN",
    "message": "This PIN does not open this door now",
    "code": 401,
    "reason": "invalid_pin",
}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return structs.replace(settings, pin_secret=Secret(PIN_SECRET))


async def enter(house: House, lock_id: object, pin: object, **headers: str) -> Page:
    """Enter a PIN at a panel, which has no credentials."""
    return await enter_raw(house, lock_id, f'{{"pin":"{pin}"}}', **headers)


async def enter_raw(house: House, lock_id: object, body: str, **headers: str) -> Page:
    path = f"/locks/{lock_id}/open-with-pin"
    return await house.fetch(path, "POST", body, Content_Type="application/json", **headers)


def by_pin(*locks: HasLockId, method: AccessMethod = AccessMethod.CODE) -> list[NewDoor]:
    return [NewDoor(lock_id=lock.lock_id, access_method=method) for lock in locks]


async def pin_of(house: House, key: TempKey) -> str:
    """The PIN as the guest page shows it."""
    page = await house.visit(f"/temp-keys/{key.uuid}")
    return page.text(".digits").replace(" ", "")


# Issuing and showing


async def test_the_pin_is_in_the_answer_that_issues_the_key_and_in_no_other_json(house: House):
    lock = await house.device()
    now = clock.now()
    wanted = {
        "validFrom": now.isoformat(),
        "validUntil": (now + HOUR).isoformat(),
        "doors": [{"lockId": lock.lock_id, "accessMethod": "both"}],
    }
    issued = await house.manage("POST", "/temp-keys", wanted)
    pin = issued.json()["pin"]
    assert issued.status == 201
    assert len(pin) == 6
    for path in ("/temp-keys", f"/temp-keys?lockId={lock.lock_id}", f"/locks/{lock.lock_id}"):
        assert pin not in (await house.manage("GET", path)).response.body.decode()
    key_json = await house.manage("GET", f"/temp-keys/{issued.json()['uuid']}.json")
    assert pin not in key_json.response.body.decode()


async def test_a_key_that_opens_by_tap_has_no_pin(house: House):
    lock = await house.device()
    now = clock.now()
    wanted = {
        "validFrom": now.isoformat(),
        "validUntil": (now + HOUR).isoformat(),
        "doors": [{"lockId": lock.lock_id}],
    }
    assert (await house.manage("POST", "/temp-keys", wanted)).json()["pin"] is None


async def test_the_guest_page_shows_the_pin_and_which_doors_it_opens(house: House):
    gate, lift = await house.device("Garden gate"), await house.device("Lift")
    flat = await house.device("Flat")
    key = await house.key(doors=[*by_pin(gate, lift), NewDoor(lock_id=flat.lock_id)])
    page = await house.visit(f"/temp-keys/{key.uuid}")
    digits = page.html.select_one(".digits")
    assert digits is not None
    groups = [group.get_text() for group in digits.select("span")]
    assert [len(group) for group in groups] == [3, 3]
    assert digits["aria-label"] == " ".join("".join(groups))
    card = page.text("section[aria-labelledby=pin]")
    assert "It opens Garden gate and Lift" in card
    assert "Flat" not in card


async def test_the_guest_page_shows_the_pin_before_the_key_is_valid(house: House):
    lock = await house.device("Garden gate")
    now = clock.now()
    key = await house.key(doors=by_pin(lock), valid_from=now + HOUR, valid_until=now + 2 * HOUR)
    page = await house.visit(f"/temp-keys/{key.uuid}")
    assert page.text("h1") == "Your key is not valid yet"
    assert "It opens Garden gate: enter it" in page.text("section[aria-labelledby=pin]")


async def test_the_guest_page_shows_no_pin_of_a_key_that_is_over(house: House, database: Database):
    lock = await house.device()
    over = [await house.key(doors=by_pin(lock)) for _ in range(3)]
    revoked, expired, used_up = over
    await house.manage("DELETE", f"/temp-keys/{revoked.uuid}")
    await set_fields(database, expired, validUntil=clock.now())
    await set_fields(database, used_up, maxUses=1, usedCount=1)
    for key in over:
        page = await house.visit(f"/temp-keys/{key.uuid}")
        assert page.html.select_one(".digits") is None


async def set_fields(database: Database, key: TempKey, **fields: Any) -> None:
    await database["tempKeys"].update_one({"_id": key.uuid}, {"$set": fields})


# Opening


async def test_a_right_pin_opens_the_door(house: House):
    lock = await house.lock()
    key = await house.key(doors=by_pin(lock))
    async with lock.connected():
        page = await enter(house, lock.lock_id, await pin_of(house, key))
    assert (page.status, page.json()) == (200, OPENED)
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1


async def test_a_door_for_both_opens_by_pin_and_by_tap(house: House):
    lock = await house.lock()
    key = await house.key(doors=by_pin(lock, method=AccessMethod.BOTH))
    async with lock.connected():
        tapped = await house.visit((await house.tap_open(key)).location)
        entered = await enter(house, lock.lock_id, await pin_of(house, key))
    assert tapped.text("h1") == "The door is open"
    assert entered.json() == OPENED
    assert len(lock.openings) == 2


async def test_a_panel_needs_no_credentials_and_wrong_ones_change_nothing(house: House):
    lock = await house.lock()
    pin = await pin_of(house, await house.key(doors=by_pin(lock)))
    async with lock.connected():
        page = await enter(house, lock.lock_id, pin, Authorization="Bearer x", X_API_Key="lk_x")
    assert page.json() == OPENED


async def test_the_door_of_an_offline_lock_does_not_open_when_it_comes_back(house: House):
    lock = await house.lock()
    key = await house.key(doors=by_pin(lock), max_uses=1)
    page = await enter(house, lock.lock_id, await pin_of(house, key))
    assert (page.status, page.json()) == (200, OFFLINE)
    async with lock.connected():
        await house.until_online(lock)
        await asyncio.sleep(0.5)
    assert lock.openings == []
    [command] = await house.commands_of(lock)
    assert (command["state"], command["reason"]) == ("refused", "lock_offline")
    assert await house.used_count(key) == 0


async def test_a_jammed_bolt_is_no_success(house: House):
    lock = await house.lock(options=LockOptions(jammed=True))
    pin = await pin_of(house, await house.key(doors=by_pin(lock)))
    async with lock.connected():
        page = await enter(house, lock.lock_id, pin)
    assert (page.status, page.json()) == (200, NOT_OPENED)


async def test_a_lock_that_says_only_that_it_is_about_to_open_is_a_success(house: House):
    lock = BareLock(house.url, await house.device())
    pin = await pin_of(house, await house.key(doors=by_pin(lock)))
    async with lock.online() as connection:
        entering = asyncio.create_task(enter(house, lock.lock_id, pin))
        command = await connection.hear("command")
        await connection.result(command["id"], "accepted")
        page = await entering
    assert page.json() == OPENED


async def test_a_lock_that_says_nothing_is_no_success(house: House):
    lock = BareLock(house.url, await house.device())
    pin = await pin_of(house, await house.key(doors=by_pin(lock)))
    async with lock.online() as connection:
        entering = asyncio.create_task(enter(house, lock.lock_id, pin))
        await connection.hear("command")
        page = await entering
    assert page.json() == NOT_OPENED


async def test_a_pin_that_is_entered_twice_at_once_opens_once(house: House):
    lock = await house.lock()
    key = await house.key(doors=by_pin(lock), max_uses=1)
    pin = await pin_of(house, key)
    async with lock.connected():
        pages = await asyncio.gather(*(enter(house, lock.lock_id, pin) for _ in range(3)))
    assert [page.json() for page in pages] == [OPENED] * 3
    assert len(lock.openings) == 1
    assert await house.used_count(key) == 1


async def test_a_last_use_is_taken_once_by_panels_of_two_doors(house: House):
    gate, lift = await house.lock("Gate"), await house.lock("Lift")
    key = await house.key(doors=by_pin(gate, lift), max_uses=1)
    pin = await pin_of(house, key)
    async with gate.connected(), lift.connected():
        pages = await asyncio.gather(
            enter(house, gate.lock_id, pin), enter(house, lift.lock_id, pin)
        )
    assert sorted(page.status for page in pages) == [200, 401]
    assert len(gate.openings) + len(lift.openings) == 1


async def test_a_pin_opens_nothing_once_its_key_is_revoked(house: House):
    lock = await house.lock()
    key = await house.key(doors=by_pin(lock))
    pin = await pin_of(house, key)
    async with lock.connected():
        await house.manage("DELETE", f"/temp-keys/{key.uuid}")
        page = await enter(house, lock.lock_id, pin)
    assert page.status == 401
    assert lock.openings == []


# Refusals


async def test_all_refusals_are_the_same_to_the_last_byte(house: House, database: Database):
    lock, other = await house.device(), await house.device("Other door")
    now = clock.now()
    keys = [await house.key(doors=by_pin(lock)) for _ in range(6)]
    pins = [await pin_of(house, key) for key in keys]
    good, revoked, expired, early, used_up, closed = keys
    await house.manage("DELETE", f"/temp-keys/{revoked.uuid}")
    await set_fields(database, expired, validUntil=now)
    await set_fields(database, early, validFrom=now + HOUR / 2)
    await set_fields(database, used_up, maxUses=1, usedCount=1)
    in_two_days = list(Weekday)[(now + timedelta(days=2)).weekday()]
    window = {"days": [in_two_days.value], "from": "09:00", "until": "17:00"}
    await set_fields(database, closed, schedule=[window])
    tries: list[tuple[object, object]] = [
        (lock.lock_id, "00000000"),
        (lock.lock_id, "0000"),
        (2**53 - 1, pins[0]),
        (other.lock_id, pins[0]),
        *((lock.lock_id, pin) for pin in pins[1:]),
    ]
    pages: list[Page] = []
    for lock_id, pin in tries:
        await database["guesses"].delete_many({})
        pages.append(await enter(house, lock_id, pin))
    assert [page.status for page in pages] == [401] * len(tries)
    assert pages[0].json() == REFUSED
    assert {page.response.body for page in pages} == {pages[0].response.body}
    assert {headers_of(page) for page in pages} == {headers_of(pages[0])}
    await database["guesses"].delete_many({})
    assert (await enter(house, lock.lock_id, await pin_of(house, good))).json() == OFFLINE


def headers_of(page: Page) -> frozenset[tuple[str, str]]:
    return frozenset(
        (name, value)
        for name, value in page.response.headers.get_all()
        if name not in ("Date", "X-Request-Id")
    )


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{}",
        "[]",
        '"123456"',
        "{",
        '{"pin":123456}',
        '{"pin":null}',
        '{"pin":""}',
        '{"pin":"123"}',
        '{"pin":"123456789"}',
        '{"pin":"12345a"}',
        '{"pin":"123456\\n"}',
        '{"pin":"12345\\u0000"}',
        '{"pin":{"$ne":null}}',
        '{"pin":["1","2","3","4"]}',
        '{"PIN":"123456"}',
    ],
)
async def test_what_is_no_pin_is_malformed_and_no_try(house: House, database: Database, body: str):
    page = await enter_raw(house, 1, body)
    assert (page.status, page.json()["reason"]) == (400, "invalid_input")
    assert await database["guesses"].count_documents({}) == 0


@pytest.mark.parametrize("lock_id", ["0", "-1", "x", "1.5", "9007199254740992"])
async def test_what_is_no_lock_is_malformed(house: House, lock_id: str):
    page = await enter(house, lock_id, "123456")
    assert page.status == 400


async def test_a_pin_in_the_url_is_not_looked_at(house: House):
    assert (await house.fetch("/locks/1/open-with-pin?pin=123456")).status == 405
    assert (await house.fetch("/locks/1/open-with-pin?pin=123456", "POST", "{}")).status == 400


async def test_after_five_wrong_ones_the_right_one_waits_too(house: House):
    lock = await house.lock()
    pin = await pin_of(house, await house.key(doors=by_pin(lock)))
    async with lock.connected():
        wrong = [await enter(house, lock.lock_id, "00000000") for _ in range(5)]
        page = await enter(house, lock.lock_id, pin)
    assert [page.status for page in wrong] == [401] * 5
    assert page.status == 429
    assert page.json()["reason"] == "too_many_tries"
    assert 1 <= int(page.response.headers["Retry-After"]) <= 60
    assert lock.openings == []


async def test_of_a_hundred_guesses_at_once_five_are_looked_at(house: House):
    lock = await house.device()
    guesses = (enter(house, lock.lock_id, f"{n:08d}") for n in range(100))
    statuses = [page.status for page in await asyncio.gather(*guesses)]
    assert statuses.count(401) == 5
    assert statuses.count(429) == 95


async def test_an_unknown_lock_is_locked_out_like_any_other(house: House):
    statuses = [(await enter(house, 987654, "123456")).status for _ in range(6)]
    assert statuses == [401] * 5 + [429]


async def test_right_pins_lock_nobody_out(house: House):
    lock = await house.device()
    pin = await pin_of(house, await house.key(doors=by_pin(lock)))
    pages = [await enter(house, lock.lock_id, pin) for _ in range(8)]
    assert [page.json() for page in pages] == [OFFLINE] * 8


async def test_no_pin_is_ever_logged(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level(logging.DEBUG)
    # So long that it cannot be a part of some other number by chance.
    monkeypatch.setattr(house.services.pins, "_make_pin", lambda: "86420975")
    lock = await house.lock()
    key = await house.key(doors=by_pin(lock))
    pin = await pin_of(house, key)
    canaries = [pin, "73915208", "7391520a", "739152086"]
    async with lock.connected():
        for entered in canaries:
            await enter(house, lock.lock_id, entered)
        await house.fetch(f"/locks/{lock.lock_id}/open-with-pin", "POST", f'{{"pin":"{pin}"')
    logged = "\n".join([caplog.text, *(repr(vars(line)) for line in caplog.records)])
    assert "open-with-pin" in logged
    for canary in canaries:
        assert canary not in logged


# Where PINs are off


class TestWithoutASecret:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return structs.replace(settings, pin_secret=None)

    async def test_no_pin_opens_anything(self, house: House):
        page = await enter(house, 1, "123456")
        assert (page.status, page.json()["reason"]) == (503, "pins_off")
        assert "Retry-After" not in page.response.headers

    @pytest.mark.parametrize("method", ["code", "both"])
    async def test_no_key_that_needs_a_pin_is_issued(self, house: House, method: str):
        lock = await house.device()
        now = clock.now()
        wanted = {
            "validFrom": now.isoformat(),
            "validUntil": (now + HOUR).isoformat(),
            "doors": [{"lockId": lock.lock_id}, {"lockId": lock.lock_id, "accessMethod": method}],
        }
        page = await house.manage("POST", "/temp-keys", wanted)
        assert (page.status, page.json()["reason"]) == (503, "pins_off")
        assert (await house.manage("GET", "/temp-keys")).json()["tempKeys"] == []


# Guest links that lead nowhere


async def guess_link(house: House, **headers: str) -> Page:
    return await house.fetch(f"/temp-keys/{uuid4()}", **headers)


async def test_after_twenty_links_that_lead_nowhere_the_next_is_too_many(house: House):
    statuses = [(await guess_link(house)).status for _ in range(20)]
    page = await guess_link(house)
    assert statuses == [404] * 20
    assert (page.status, page.json()["reason"]) == (429, "too_many_tries")
    assert 1 <= int(page.response.headers["Retry-After"]) <= 60


async def test_a_browser_is_told_on_a_page_that_leads_to_no_key(house: House):
    for _ in range(20):
        await guess_link(house)
    page = await guess_link(house, Accept=BROWSER)
    assert (page.status, page.text("h1")) == (429, "Too many tries")
    assert page.html.select_one(".back") is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("HEAD", ""),
        ("POST", "/open"),
        ("POST", "/doors/1/open"),
        ("GET", "/confirmation"),
        ("GET", "/confirmation/stream"),
    ],
)
async def test_every_guest_route_counts_links_that_lead_nowhere(
    house: House, database: Database, method: str, path: str
):
    body = "" if method == "POST" else None
    page = await house.fetch(f"/temp-keys/{uuid4()}{path}", method, body)
    [counted] = await database["guesses"].find().to_list(None)
    assert page.status == 404
    assert counted["_id"] == "link from 127.0.0.1"


async def test_a_good_link_works_from_an_address_that_has_too_many(house: House):
    lock = await house.lock()
    key = await house.key(lock)
    await asyncio.gather(*(guess_link(house) for _ in range(40)))
    assert (await guess_link(house)).status == 429
    async with lock.connected():
        page = await house.visit(f"/temp-keys/{key.uuid}")
        opened = await house.visit((await house.tap_open(key)).location)
    assert page.text("h1") == "Your key to Front door"
    assert opened.text("h1") == "The door is open"


async def test_operators_are_not_taken_for_guessers(house: House, database: Database):
    page = await house.manage("DELETE", f"/temp-keys/{uuid4()}")
    assert page.status == 404
    assert await database["guesses"].count_documents({}) == 0


async def test_whoever_says_to_come_from_elsewhere_is_not_believed(house: House):
    statuses = [
        (await guess_link(house, X_Forwarded_For=f"203.0.113.{n}", X_Real_Ip="198.51.100.1")).status
        for n in range(21)
    ]
    assert statuses[-1] == 429


class TestBehindAProxy:
    @pytest.fixture
    def settings(self, settings: Settings, trusted: str) -> Settings:
        return structs.replace(settings, trusted_proxies=(ip_network(trusted),))

    @pytest.mark.parametrize("trusted", ["127.0.0.0/8"])
    async def test_each_client_of_the_proxy_is_counted_for_itself(
        self, house: House, database: Database
    ):
        for n in range(3):
            await guess_link(house, X_Forwarded_For=f"10.9.8.7, 203.0.113.{n}")
        subjects = {document["_id"] async for document in database["guesses"].find()}
        assert subjects == {f"link from 203.0.113.{n}" for n in range(3)}

    @pytest.mark.parametrize("trusted", ["192.0.2.1/32"])
    async def test_somebody_who_is_not_the_proxy_is_not_believed(
        self, house: House, database: Database
    ):
        await guess_link(house, X_Forwarded_For="203.0.113.1")
        [counted] = await database["guesses"].find().to_list(None)
        assert counted["_id"] == "link from 127.0.0.1"
