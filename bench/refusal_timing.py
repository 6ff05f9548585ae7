"""Whether the time that a refused PIN takes tells why it was refused.

Starts a server with a MongoDB of its own, enters PINs that are wrong in different ways, in turns,
and prints the median of each, over HTTP and, in front of the pause that evens them out, inside:

    python -m bench.refusal_timing [ROUNDS]
"""

import asyncio
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from server import clock, logs
from server.app import make_app, open_services
from server.domain.organizations import Operator
from server.domain.refusals import InvalidPin
from server.domain.temp_keys import AccessMethod, NewDoor, NewTempKey, TempKey
from server.services.guesses import Guesses
from server.services.pin_vault import PinVault
from server.services.pins import Pins, PinStores
from server.services.provisioning import NewLock
from server.services.registry import Services
from server.settings import Secret, Settings
from server.storage import mongo
from server.storage.embedded_mongodb import embedded_mongodb
from server.storage.guess_store import GuessStore
from server.storage.lock_store import LockStore
from server.storage.pin_store import PinStore
from server.storage.temp_key_store import TempKeyStore

ROUNDS = 300
WARM_UP_ROUNDS = 20
SECRET = "a secret for this benchmark, of 32 bytes or more"  # noqa: S105 - it guards nothing
HOUR = timedelta(hours=1)


class WrongPin(NamedTuple):
    """A PIN, and a lock that it does not open."""

    lock_id: int
    pin: str


async def main(rounds: int) -> None:
    logs.configure("json")
    logging.disable(logging.INFO)
    settings = Settings(pin_secret=Secret(SECRET))
    with tempfile.TemporaryDirectory() as folder:
        async with (
            embedded_mongodb(Path(folder)) as uri,
            open_services(settings, uri) as services,
        ):
            client = mongo.connect(uri, timeout_s=10)
            database = client[settings.mongodb_database]
            await mongo.create_indexes(database)
            wrong = await wrong_pins(services, database)
            over_http, server = serve(services)
            inside = without_pause(services, database)
            for title, enter in (("over HTTP", over_http), ("without the pause", inside)):
                report(title, await measure(enter, wrong, database, rounds))
            server.stop()
            client.close()


async def wrong_pins(services: Services, database: mongo.Database) -> dict[str, WrongPin]:
    """PINs that are wrong in different ways."""
    organization = await services.provisioning.create_organization("Benchmark")
    operator = Operator(org_id=organization.id, name="benchmark")
    locks = [
        await services.provisioning.create_lock(organization.id, NewLock(name=name))
        for name in ("Front door", "Other door")
    ]
    lock_id, other_id = locks[0].id, locks[1].id
    now = clock.now()

    async def key() -> tuple[TempKey, str]:
        wanted = NewTempKey(
            valid_from=now - HOUR,
            valid_until=now + HOUR,
            doors=[NewDoor(lock_id=lock_id, access_method=AccessMethod.CODE)],
        )
        made = (await services.temp_keys.create(operator, wanted)).key
        pin = await services.pins.reveal(made)
        assert pin is not None
        return made, pin

    async def key_with(**fields: Any) -> WrongPin:
        made, pin = await key()
        await database["tempKeys"].update_one({"_id": made.uuid}, {"$set": fields})
        return WrongPin(lock_id, pin)

    _, good = await key()
    revoked, revoked_pin = await key()
    await services.temp_keys.revoke(operator, revoked.uuid)
    tomorrow = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"][(now.weekday() + 2) % 7]
    schedule = [{"days": [tomorrow], "from": "08:00", "until": "17:00"}]
    return {
        "wrong": WrongPin(lock_id, "00000000"),
        "unknown lock": WrongPin(999_999, good),
        "another lock's": WrongPin(other_id, good),
        "revoked": WrongPin(lock_id, revoked_pin),
        "expired": await key_with(validUntil=now),
        "not yet valid": await key_with(validFrom=now + HOUR / 2),
        "used up": await key_with(maxUses=1, usedCount=1),
        "outside its schedule": await key_with(schedule=schedule),
    }


Enter = Callable[[WrongPin], Awaitable[None]]


def serve(services: Services) -> tuple[Enter, HTTPServer]:
    """A way to enter PINs over HTTP."""
    server = HTTPServer(make_app(services))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    http = AsyncHTTPClient()

    async def enter(wrong: WrongPin) -> None:
        answer = await http.fetch(
            f"{url}/locks/{wrong.lock_id}/open-with-pin",
            method="POST",
            body=msgspec.json.encode({"pin": wrong.pin}),
            raise_error=False,
        )
        assert answer.code == 401, answer.body

    return enter, server


def without_pause(services: Services, database: mongo.Database) -> Enter:
    """A way to enter PINs that answers as soon as it is known that they are wrong."""
    stores = PinStores(
        pins=PinStore(database), keys=TempKeyStore(database), locks=LockStore(database)
    )
    guesses = Guesses(GuessStore(database))
    pins = Pins(stores, guesses, services.opening, PinVault(SECRET), refused_after_s=0)

    async def enter(wrong: WrongPin) -> None:
        try:
            await pins.open(wrong.lock_id, wrong.pin, "203.0.113.7")
        except InvalidPin:
            return
        raise AssertionError("the PIN was good")

    return enter


async def measure(
    enter: Enter, wrong: Mapping[str, WrongPin], database: mongo.Database, rounds: int
) -> dict[str, list[float]]:
    """The milliseconds of each refusal, the kinds in a random order in each round."""
    took: dict[str, list[float]] = {name: [] for name in wrong}
    names = list(wrong)
    for number in range(WARM_UP_ROUNDS + rounds):
        random.shuffle(names)
        for name in names:
            await database["guesses"].delete_many({})
            began = time.perf_counter()
            await enter(wrong[name])
            if number >= WARM_UP_ROUNDS:
                took[name].append((time.perf_counter() - began) * 1000)
    return took


def report(title: str, took: Mapping[str, list[float]]) -> None:
    """Print the median of each kind, and how far from that of all it is."""
    of_all = statistics.median(ms for each in took.values() for ms in each)
    print(f"\n{title}: median {of_all:.2f} ms")
    for name, each in took.items():
        median = statistics.median(each)
        print(f"  {name:22} {median:8.2f} ms  {median / of_all - 1:+7.2%}")
    medians = [statistics.median(each) for each in took.values()]
    print(f"  slowest to quickest: {max(medians) / min(medians):.3f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))
