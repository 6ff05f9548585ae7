"""Every page and state that a guest may see, each in turn: where it is, and what to call it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NamedTuple

from handlers.languages import LANGUAGES
from server import clock
from server.domain.temp_keys import NewDoor
from simulator.options import LockOptions
from tests.house import House, command_id_of
from tests.journeys.bare_lock import BareLock

BRAND = {"name": "Hotel Aurora", "phone": "+39 06 555 0101", "email": "desk@aurora.example"}


class Shown(NamedTuple):
    """A page to look at."""

    name: str
    path: str


async def guest_pages(house: House) -> AsyncIterator[Shown]:
    """Lead to each page in turn; what it shows holds until the next is asked for."""
    await house.manage("PATCH", "/organization", BRAND)
    away, silent = await house.device("Side door"), BareLock(house.url, await house.device("Gate"))
    key_to_away = await house.key(_Numbered(away.lock_id))
    offline = (await house.tap_open(key_to_away)).location
    async for page in _keys(house):
        yield page
    async with silent.online() as connection:
        key = await house.key(silent)
        busy_key = await house.key(silent)
        tapped = await house.tap_open(key)
        command_id = command_id_of(tapped)
        await connection.hear("command")
        yield Shown("sent", tapped.location)
        await connection.result(command_id, "accepted")
        yield Shown("accepted", tapped.location)
        yield Shown("busy", (await house.tap_open(busy_key)).location)
        await house.until_state(command_id, "unconfirmed")
        yield Shown("no-answer", tapped.location)
        for outcome, reason in (("refused", None), ("refused", "clock"), ("failed", "jammed")):
            tapped = await house.tap_open(await house.key(silent))
            command = await connection.hear("command")
            await connection.result(command["id"], outcome, reason=reason)
            await house.until_state(command["id"], outcome)
            yield Shown(f"{outcome}-{reason or 'without-reason'}", tapped.location)
        tapped = await house.tap_open(await house.key(silent))
        command = await connection.hear("command")
        await connection.result(command["id"], "opened")
        await house.until_state(command["id"], "opened")
        for code in LANGUAGES:
            name = "opened" if code == "en" else f"opened-{code}"
            yield Shown(name, f"{tapped.location}&lang={code}")
    yield Shown("offline", offline)
    yield Shown("door-not-found", f"/temp-keys/{key_to_away.uuid}/confirmation?door=9")
    yield Shown("key-not-found", "/temp-keys/no-such-key")
    yield Shown("page-not-found", "/no-such-page")


async def _keys(house: House) -> AsyncIterator[Shown]:
    now = clock.now()
    good, poor = (
        await house.lock("Street gate"),
        await house.lock("Flat 4", options=LockOptions(jammed=True, battery=9)),
    )
    tomorrow = {"valid_from": now + timedelta(days=1), "valid_until": now + timedelta(days=2)}
    async with good.connected(), poor.connected():
        await poor.wait_acknowledged()
        key = await house.key(good)
        for code in LANGUAGES:
            name = "key" if code == "en" else f"key-{code}"
            yield Shown(name, f"/temp-keys/{key.uuid}?lang={code}")
        off = await house.device("Wine cellar")
        doors = [NewDoor(lock_id=id_) for id_ in (good.lock_id, poor.lock_id, off.lock_id)]
        several = await house.key(doors=doors, max_uses=5)
        for code in ("en", "de", "ar"):
            name = "key-with-warnings" if code == "en" else f"key-with-warnings-{code}"
            yield Shown(name, f"/temp-keys/{several.uuid}?lang={code}")
        await house.manage("PATCH", f"/locks/{good.lock_id}", {"openConfirmation": True})
        yield Shown("question", f"/temp-keys/{key.uuid}/doors/1/open")
        early = await house.key(good, **tomorrow)
        yield Shown("key-not-yet-valid", f"/temp-keys/{early.uuid}")
        once = await house.key(poor, max_uses=1)
        await house.tap_open(once)
        yield Shown("key-used-up", f"/temp-keys/{once.uuid}")
        await house.manage("DELETE", f"/temp-keys/{early.uuid}")
        yield Shown("key-revoked", f"/temp-keys/{early.uuid}")
        personal = await house.key(good, access_mode="user-whitelist", allowed_user_ids=["ann"])
        yield Shown("sign-in", f"/temp-keys/{personal.uuid}")


class _Numbered(NamedTuple):
    lock_id: int
