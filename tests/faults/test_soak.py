"""Bad weather over two nodes, two hundred locks and two thousand guests.

``./latchkey test tests/faults/test_soak.py --soak-seconds 3600`` makes it last an hour.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from msgspec import structs

from server.storage.mongo import Database
from tests.faults.processes import IssuedKey, Nats, Site, Town
from tests.faults.proxy import Proxy, in_front_of
from tests.faults.soak.guests import Guests
from tests.faults.soak.verdict import (
    Verdict,
    all_has_come_to_rest,
    numbers_given_out,
    reach_verdict,
)
from tests.faults.soak.weather import Weather
from tests.house import Device, until

LOCKS = 200
OPENS = 2000
"""So many at least; a longer soak has as many more."""
OPENS_A_SECOND = OPENS / 120
FAULTS_OF_LOCKS = "drop=0.002,stall=0.001:6,duplicate=0.05,lose-result=0.02"
READING_EVERY_S = 5
FEW_USES = 3
REST_WITHIN_S = 120.0


async def test_in_bad_weather_nothing_opens_late_twice_or_unasked_and_no_report_is_lost(
    town: Town,
    nats: Nats,
    to_mongodb: Proxy,
    database: Database,
    soak_s: float,
    record_property: Callable[[str, object], None],
) -> None:
    nodes = [site.server for site in town]
    locks = await town.here.locks(LOCKS)
    keys = await issue_keys(town.here, locks.all)
    guests = Guests(town, list(keys))
    async with in_front_of(*(("127.0.0.1", node.port) for node in nodes)) as to_nodes:
        url = f"http://127.0.0.1:{to_nodes.port}"
        await locks.start(url, FAULTS_OF_LOCKS, READING_EVERY_S)
        weather = Weather(nodes, nats, to_nodes, to_mongodb)
        taps = max(OPENS, int(OPENS_A_SECOND * soak_s))
        await asyncio.gather(guests.open(taps, soak_s), weather.blow(soak_s))
        numbers = numbers_given_out(locks.journals)

        async def rests() -> bool:
            return await all_has_come_to_rest(database, numbers)

        with suppress(TimeoutError):  # the verdict tells what did not
            await until(rests, REST_WITHIN_S)
        verdict = await reach_verdict(database, locks.journals, numbers, guests.commands, keys)
    tell(record_property, weather, guests, verdict)
    assert not any(structs.asdict(verdict.faults).values())
    assert verdict.openings > OPENS / 3
    assert not [line for node in nodes for line in node.output.splitlines() if "Traceback" in line]


async def issue_keys(site: Site, devices: Sequence[Device]) -> dict[IssuedKey, int | None]:
    """A key for each lock, and how often it may be used; most may be as often as wanted."""
    keys: dict[IssuedKey, int | None] = {}
    for device in devices:
        most = None if device.lock_id % 4 else FEW_USES
        keys[await site.key(device, max_uses=most)] = most
    return keys


def tell(
    record_property: Callable[[str, object], None],
    weather: Weather,
    guests: Guests,
    verdict: Verdict,
) -> None:
    """Leave the figures for the summary of the run."""
    record_property("soak: faults", _list(weather.faults))
    record_property("soak: taps by their HTTP status (599: no answer)", _list(guests.answers))
    figures = structs.asdict(verdict)
    figures |= structs.asdict(figures.pop("faults"))
    for name, value in figures.items():
        record_property(f"soak: {name.replace('_', ' ')}", value)


def _list(counts: dict[str, int] | dict[int, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(counts.items()))
