"""PINs over a real MongoDB: minted, shown, freed, and refused alike whatever is wrong."""

import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from msgspec import structs
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from tornado.ioloop import IOLoop

from server import clock
from server.bus.local_bus import LocalBus
from server.domain.locks import Lock
from server.domain.organizations import Scope
from server.domain.refusals import (
    InvalidPin,
    NoFreePin,
    PinsOff,
    TooManyTries,
)
from server.domain.schedule import ScheduleWindow, Weekday
from server.domain.temp_keys import AccessMethod, AccessMode, Door, TempKey
from server.metrics import PrometheusMetrics
from server.services.delivery import Delivery
from server.services.guesses import Guesses
from server.services.opening import Opening
from server.services.outcomes import Outcomes
from server.services.pin_vault import PinVault
from server.services.pins import PinOpening, Pins, PinStores
from server.settings import Settings
from server.storage.command_store import CommandStore
from server.storage.guess_store import GuessStore
from server.storage.link_store import LinkStore
from server.storage.lock_store import LockStore
from server.storage.mongo import Database
from server.storage.pin_store import PinStore
from server.storage.temp_key_store import TempKeyStore

SECRET = "a secret of the server, of 32 bytes or more"
ADDRESS = "203.0.113.7"
HOUR = timedelta(hours=1)
LOCK, OTHER_LOCK, TAP_LOCK, MOVED_LOCK, UNKNOWN_LOCK = 1, 2, 3, 4, 999
OFFLINE = PinOpening(success=False, offline=True)


class Commands(CommandListener):
    """What the database is asked, without the values."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, Any]] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name in ("find", "update", "insert", "delete", "findAndModify"):
            command = event.command
            asked = command.get("filter") or [update["q"] for update in command.get("updates", [])]
            shape = (event.command_name, command[event.command_name], _shape(asked))
            self.seen.append(shape)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to note."""


def _shape(asked: Any) -> Any:
    if isinstance(asked, dict):
        return {name: _shape(value) for name, value in asked.items()}
    if isinstance(asked, list):
        return [_shape(value) for value in asked]
    return "…"


class Panel(NamedTuple):
    """The PINs of one installation, with what its tests look into."""

    pins: Pins
    stores: PinStores
    database: Database
    commands: Commands

    async def key(self, *doors: tuple[int, AccessMethod], **fields: Any) -> TempKey:
        """A key with its PIN; by default for the lock, by PIN only, and valid for an hour."""
        now = clock.now()
        key = TempKey(
            uuid=fields.pop("uuid", f"key-{next(_numbers)}"),
            org_id="org",
            created_by="test",
            created_at=now,
            valid_from=fields.pop("valid_from", now - HOUR),
            valid_until=fields.pop("valid_until", now + HOUR),
            doors=[
                Door(id=number, lock_id=lock_id, lock_uuid=f"lock-{lock_id}", access_method=method)
                for number, (lock_id, method) in enumerate(
                    doors or [(LOCK, AccessMethod.CODE)], start=1
                )
            ],
            **fields,
        )
        await self.pins.mint(key)
        await self.stores.keys.insert(key)
        return key

    async def pin(self, key: TempKey) -> str:
        """The PIN of a key, whatever the key is."""
        now = clock.now()
        live = {"valid_from": now - HOUR, "valid_until": now + HOUR, "used_count": 0}
        pin = await self.pins.reveal(structs.replace(key, **live, revoked_at=None))
        assert pin is not None
        return pin

    async def forget_guesses(self) -> None:
        """Let everybody start over."""
        await self.database["guesses"].delete_many({})


_numbers = itertools.count(1)


def build(database: Database, commands: Commands, **options: Any) -> Panel:
    keys, locks, records = TempKeyStore(database), LockStore(database), CommandStore(database)
    bus = LocalBus()
    metrics = PrometheusMetrics()
    outcomes = Outcomes(records, keys, bus, metrics)
    stores = PinStores(pins=PinStore(database), keys=keys, locks=locks)
    delivery = Delivery(records, outcomes, bus)
    links, life = LinkStore(database), timedelta(seconds=3)
    opening = Opening(keys, links, records, outcomes, delivery, bus, life, metrics)
    vault = options.pop("vault", PinVault(SECRET))
    guesses = Guesses(GuessStore(database))
    pins = Pins(stores, guesses, opening, vault, refused_after_s=0, **options)
    return Panel(pins, stores, database, commands)


@pytest.fixture
def panel(
    io_loop: IOLoop, database: Database, mongodb_uri: str, settings: Settings
) -> Iterator[Panel]:
    commands = Commands()
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        mongodb_uri, tz_aware=True, tzinfo=UTC, event_listeners=[commands]
    )
    panel = build(client[settings.mongodb_database], commands)
    for lock_id in (LOCK, OTHER_LOCK, TAP_LOCK, MOVED_LOCK):
        lock = Lock(
            id=lock_id,
            uuid=f"lock-{lock_id}",
            org_id="another org" if lock_id == MOVED_LOCK else "org",
            name=f"Lock {lock_id}",
            created_at=clock.now(),
        )
        io_loop.run_sync(lambda lock=lock: panel.stores.locks.insert(lock))
    yield panel
    client.close()


def tomorrow() -> Weekday:
    return list(Weekday)[(clock.now() + timedelta(days=2)).weekday()]


async def refused_pins(panel: Panel) -> dict[str, tuple[int, str]]:
    """A lock and a PIN for everything that may be wrong."""
    now = clock.now()
    good = await panel.key()
    revoked = await panel.key()
    await panel.stores.keys.revoke(revoked.uuid, "org", now)
    freed = await panel.key()
    freed_pin = await panel.pin(freed)
    await panel.pins.free(freed.uuid)
    expired = await panel.key(valid_from=now - HOUR, valid_until=now)
    early = await panel.key(valid_from=now + HOUR, valid_until=now + 2 * HOUR)
    used_up = await panel.key(max_uses=1, used_count=1)
    closed = await panel.key(
        schedule=[ScheduleWindow(days=[tomorrow()], begin="08:00", until="17:00")]
    )
    by_tap = await panel.key((TAP_LOCK, AccessMethod.KEY), (LOCK, AccessMethod.CODE))
    moved = await panel.key((MOVED_LOCK, AccessMethod.CODE))
    orphan = structs.replace(good, uuid="a key that was never stored")
    await panel.pins.mint(orphan)
    return {
        "wrong": (LOCK, "00000000"),
        "another lock's": (OTHER_LOCK, await panel.pin(good)),
        "unknown lock": (UNKNOWN_LOCK, await panel.pin(good)),
        "revoked": (LOCK, await panel.pin(revoked)),
        "revoked and freed": (LOCK, freed_pin),
        "expired": (LOCK, await panel.pin(expired)),
        "not yet valid": (LOCK, await panel.pin(early)),
        "used up": (LOCK, await panel.pin(used_up)),
        "outside its schedule": (LOCK, await panel.pin(closed)),
        "for a door that opens by tap": (TAP_LOCK, await panel.pin(by_tap)),
        "for a lock that moved": (MOVED_LOCK, await panel.pin(moved)),
        "of no key": (LOCK, await panel.pin(orphan)),
    }


# Minting


async def test_a_key_has_one_pin_for_all_its_doors_by_pin(panel: Panel):
    key = await panel.key(
        (LOCK, AccessMethod.CODE), (OTHER_LOCK, AccessMethod.BOTH), (LOCK, AccessMethod.BOTH)
    )
    pin = await panel.pin(key)
    assert len(pin) == 6
    assert pin.isdecimal()
    assert await panel.pins.open(LOCK, pin, ADDRESS) == OFFLINE
    assert await panel.pins.open(OTHER_LOCK, pin, ADDRESS) == OFFLINE


async def test_a_key_without_doors_by_pin_has_none(panel: Panel):
    key = await panel.key((LOCK, AccessMethod.KEY))
    assert await panel.pins.reveal(key) is None
    assert await panel.database["pins"].count_documents({}) == 0


async def test_a_pin_that_is_taken_at_any_of_the_locks_is_drawn_again(panel: Panel):
    drawn = iter(["000001", "000001", "000002", "000001", "000002", "000003"])
    scripted = build(panel.database, panel.commands, make_pin=lambda: next(drawn))
    first = await scripted.key((LOCK, AccessMethod.CODE))
    second = await scripted.key((LOCK, AccessMethod.CODE), (OTHER_LOCK, AccessMethod.CODE))
    third = await scripted.key((LOCK, AccessMethod.CODE), (OTHER_LOCK, AccessMethod.CODE))
    pins = [await scripted.pin(key) for key in (first, second, third)]
    assert pins == ["000001", "000002", "000003"]


async def test_where_no_pin_is_free_that_is_said(panel: Panel):
    scripted = build(panel.database, panel.commands, make_pin=lambda: "000001")
    await scripted.key()
    with pytest.raises(NoFreePin):
        await scripted.key()
    assert await scripted.pin(await scripted.key((OTHER_LOCK, AccessMethod.CODE))) == "000001"


async def test_pins_of_keys_that_are_over_or_revoked_are_free(panel: Panel):
    scripted = build(panel.database, panel.commands, make_pin=lambda: "000001")
    now = clock.now()
    await scripted.key(valid_from=now - HOUR, valid_until=now)
    revoked = await scripted.key()
    await scripted.pins.free(revoked.uuid)
    assert await scripted.pin(await scripted.key()) == "000001"


async def test_without_a_secret_pins_are_off(panel: Panel):
    off = build(panel.database, panel.commands, vault=None)
    with pytest.raises(PinsOff):
        await off.key()
    with pytest.raises(PinsOff):
        await off.pins.open(LOCK, "123456", ADDRESS)
    key = await off.key((LOCK, AccessMethod.KEY))
    assert await off.pins.reveal(key) is None
    assert await panel.database["guesses"].count_documents({}) == 0


async def test_a_key_whose_window_is_prolonged_keeps_its_pin(panel: Panel):
    now = clock.now()
    key = await panel.key(valid_until=now + HOUR)
    pin = await panel.pin(key)
    longer = structs.replace(key, valid_until=now + 9 * HOUR)
    await panel.pins.keep(longer)
    stored = await panel.stores.pins.find_of_key(key.uuid)
    assert stored is not None
    assert stored.valid_until == now + 9 * HOUR
    assert await panel.pin(longer) == pin


async def test_a_key_whose_pin_is_gone_gets_another_when_it_is_prolonged(panel: Panel):
    key = await panel.key()
    await panel.pins.free(key.uuid)
    await panel.pins.keep(key)
    assert await panel.pins.reveal(key) is not None


# Showing


async def test_a_pin_is_shown_while_its_key_is_valid_and_before(panel: Panel):
    now = clock.now()
    assert await panel.pins.reveal(await panel.key()) is not None
    early = await panel.key(valid_from=now + HOUR, valid_until=now + 2 * HOUR)
    assert await panel.pins.reveal(early) is not None


async def test_no_pin_is_shown_of_a_key_that_is_over(panel: Panel):
    now = clock.now()
    key = await panel.key()
    for over in (
        structs.replace(key, revoked_at=now),
        structs.replace(key, valid_until=now),
        structs.replace(key, max_uses=1, used_count=1),
    ):
        assert await panel.pins.reveal(over) is None


async def test_under_another_secret_old_pins_are_neither_shown_nor_good(panel: Panel):
    key = await panel.key()
    pin = await panel.pin(key)
    renewed = build(panel.database, panel.commands, vault=PinVault("x" * 32))
    assert await renewed.pins.reveal(key) is None
    with pytest.raises(InvalidPin):
        await renewed.pins.open(LOCK, pin, ADDRESS)


async def test_no_pin_is_stored_as_it_is(panel: Panel):
    pin = await panel.pin(await panel.key())
    async for document in panel.database["pins"].find():
        assert pin not in repr(document)
    async for document in panel.database["tempKeys"].find():
        assert pin not in repr(document)


# Opening


async def test_a_right_pin_at_an_offline_lock_is_not_sent_later_and_gives_its_use_back(
    panel: Panel,
):
    key = await panel.key(max_uses=1)
    for _ in range(7):
        assert await panel.pins.open(LOCK, await panel.pin(key), ADDRESS) == OFFLINE
    commands = panel.database["commands"]
    assert await commands.count_documents({"state": "refused", "reason": "lock_offline"}) == 7
    assert await commands.count_documents({"state": {"$ne": "refused"}}) == 0
    assert (await panel.stores.keys.find(key.uuid)).used_count == 0


async def test_the_pin_of_a_personal_key_is_enough_because_only_its_users_were_shown_it(
    panel: Panel,
):
    key = await panel.key(access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=["ada"])
    assert await panel.pins.open(LOCK, await panel.pin(key), ADDRESS) == OFFLINE


async def test_whatever_is_wrong_is_refused_in_the_same_words(panel: Panel):
    for wrong, (lock_id, pin) in (await refused_pins(panel)).items():
        await panel.forget_guesses()
        with pytest.raises(InvalidPin) as refused:
            await panel.pins.open(lock_id, pin, ADDRESS)
        assert str(refused.value) == str(InvalidPin()), wrong
        assert refused.value.__cause__ is None, wrong


async def test_whatever_is_wrong_the_database_is_asked_the_same(panel: Panel):
    asked: dict[str, list[tuple[str, str, Any]]] = {}
    for wrong, (lock_id, pin) in (await refused_pins(panel)).items():
        await panel.forget_guesses()
        panel.commands.seen.clear()
        with pytest.raises(InvalidPin):
            await panel.pins.open(lock_id, pin, ADDRESS)
        asked[wrong] = list(panel.commands.seen)
    expected = asked["wrong"]
    assert [(name, collection) for name, collection, _ in expected] == [
        ("find", "guesses"),
        ("update", "guesses"),
        ("find", "guesses"),
        ("update", "guesses"),
        ("find", "pins"),
        ("find", "tempKeys"),
        ("find", "locks"),
    ]
    assert asked == dict.fromkeys(asked, expected)


async def test_whatever_is_wrong_counts_as_a_wrong_try(panel: Panel):
    for wrong, (lock_id, pin) in (await refused_pins(panel)).items():
        await panel.forget_guesses()
        for _ in range(5):
            with pytest.raises(InvalidPin):
                await panel.pins.open(lock_id, pin, ADDRESS)
        with pytest.raises(TooManyTries):
            await panel.pins.open(lock_id, pin, ADDRESS)
        assert await panel.database["guesses"].count_documents({}) == 2, wrong


async def test_while_a_lock_is_locked_out_a_right_pin_is_not_looked_at(panel: Panel):
    pin = await panel.pin(await panel.key())
    for _ in range(5):
        with pytest.raises(InvalidPin):
            await panel.pins.open(LOCK, "00000000", ADDRESS)
    panel.commands.seen.clear()
    with pytest.raises(TooManyTries):
        await panel.pins.open(LOCK, pin, "198.51.100.1")
    assert {collection for _, collection, _ in panel.commands.seen} == {"guesses"}


async def test_an_address_that_tries_many_locks_is_locked_out_and_others_are_not(panel: Panel):
    pin = await panel.pin(await panel.key())
    for lock_id in range(100, 120):
        with pytest.raises(InvalidPin):
            await panel.pins.open(lock_id, "00000000", ADDRESS)
    with pytest.raises(TooManyTries):
        await panel.pins.open(LOCK, pin, ADDRESS)
    assert await panel.pins.open(LOCK, pin, "198.51.100.1") == OFFLINE


@asynccontextmanager
async def at(monkeypatch: pytest.MonkeyPatch, later: timedelta) -> AsyncIterator[None]:
    """The time is later than it is."""
    real = clock.now
    with monkeypatch.context() as patched:
        patched.setattr(clock, "now", lambda: real() + later)
        yield


async def test_lockouts_last_one_minute_then_two_then_four(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
):
    passed = timedelta(0)
    minutes: list[float] = []
    for _ in range(6):
        async with at(monkeypatch, passed):
            for n in range(5):
                with pytest.raises(InvalidPin):
                    await panel.pins.open(LOCK, "00000000", f"203.0.113.{n}")
            with pytest.raises(TooManyTries) as refused:
                await panel.pins.open(LOCK, "00000000", ADDRESS)
        minutes.append(round(refused.value.retry_after / timedelta(minutes=1), 1))
        passed += refused.value.retry_after
    assert minutes == [1, 2, 4, 8, 15, 15]


async def test_a_schedule_is_read_in_the_zone_of_the_lock(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
):
    await panel.database["locks"].update_one({"_id": LOCK}, {"$set": {"timeZone": "Asia/Tokyo"}})
    lock = await panel.stores.locks.find(LOCK, Scope(org_id="org"))
    assert lock.time_zone == "Asia/Tokyo"
    monday_morning_in_tokyo = datetime(2099, 11, 22, 23, 30, tzinfo=UTC)
    key = await panel.key(
        valid_from=clock.now() - HOUR,
        valid_until=datetime(2100, 1, 1, tzinfo=UTC),
        schedule=[ScheduleWindow(days=[Weekday.MON], begin="08:00", until="17:00")],
    )
    pin = await panel.pin(key)
    monkeypatch.setattr(clock, "now", lambda: monday_morning_in_tokyo)
    assert await panel.pins.open(LOCK, pin, ADDRESS) == OFFLINE
    monkeypatch.setattr(clock, "now", lambda: monday_morning_in_tokyo - HOUR)
    with pytest.raises(InvalidPin):
        await panel.pins.open(LOCK, pin, ADDRESS)
