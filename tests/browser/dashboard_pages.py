"""Every page and state of the dashboard, each in turn, as an operator comes by them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from server import clock
from server.domain.temp_keys import NewDoor
from simulator.options import LockOptions
from tests.browser.phone import Phone
from tests.browser.shown import Shown
from tests.house import HasLockId, House

NIGHT = "2031-11-30T23:30"
"""When no key of ours opens anything, as a field for a date and a time has it."""


async def dashboard_pages(house: House, desk: Phone) -> AsyncIterator[Shown]:
    """Lead to each page in turn; what it shows holds until the next is asked for."""
    yield Shown("sign-in", "/dashboard/sign-in")
    await desk.page.get_by_label("API key or token").fill("lk_wrong")
    await desk.tap("Sign in")
    yield Shown("sign-in-refused")
    await desk.page.get_by_label("API key or token").fill(house.api_key)
    await desk.tap("Sign in")
    await desk.wait_for_heading("No locks yet")
    yield Shown("fleet-empty")
    for name in ("keys", "arrivals", "events"):
        yield Shown(f"{name}-empty", f"/dashboard/{name}")
    gate = await house.lock("Street gate")
    flat = await house.lock("Flat 4", options=LockOptions(jammed=True, battery=9))
    cellar = await house.lock("Wine cellar")
    attic = await house.device("مخزن السطح")  # "attic storage": names come from everywhere
    async with cellar.connected():
        await cellar.report(battery=64)
    await house.until_offline(cellar)
    async with gate.connected(), flat.connected():
        await flat.wait_acknowledged()
        for battery in (82, 81, 79, 78):
            await gate.report(battery=battery)
        now = clock.now()
        key = await house.key(gate, description="Ms Lind, booking 4711", max_uses=5)
        await house.tap_open(key)
        doors = [NewDoor(lock_id=lock.lock_id) for lock in (flat, cellar, attic)]
        soon = {"valid_from": now + timedelta(hours=5), "valid_until": now + timedelta(days=2)}
        await house.key(doors=doors, description="Family Petrou", **soon)
        over = await house.key(gate, description="Plumber")
        await house.manage("DELETE", f"/temp-keys/{over.uuid}")
        async for shown in _fleet_and_locks(desk, gate, attic):
            yield shown
        async for shown in _keys(desk, key.uuid, over.uuid, gate):
            yield shown
    yield Shown("arrivals", "/dashboard/arrivals")
    yield Shown("events", "/dashboard/events")
    yield Shown("events-nothing-fits", "/dashboard/events?type=LockTampered")
    yield Shown("not-found", "/dashboard/locks/999")


async def _fleet_and_locks(desk: Phone, lock: HasLockId, new: HasLockId) -> AsyncIterator[Shown]:
    yield Shown("fleet", "/dashboard")
    yield Shown("fleet-nothing-fits", "/dashboard?q=nothing")
    yield Shown("lock", f"/dashboard/locks/{lock.lock_id}")
    await desk.page.get_by_label("Reason").fill("Guest without a phone")
    await desk.tap("Open Street gate")
    await desk.page.locator("#asked").wait_for()
    yield Shown("lock-opened")
    yield Shown("lock-never-connected", f"/dashboard/locks/{new.lock_id}")
    await desk.page.get_by_text("Replace its credential").click()
    await desk.page.get_by_label("I can bring the new token").check()
    await desk.tap("Replace the credential")
    await desk.wait_for_heading("The new token of this lock")
    yield Shown("credential")


async def _keys(desk: Phone, key: str, revoked: str, lock: HasLockId) -> AsyncIterator[Shown]:
    yield Shown("keys", "/dashboard/keys")
    yield Shown("key", f"/dashboard/keys/{key}")
    yield Shown("key-issued", f"/dashboard/keys/{key}?new=yes")
    today = datetime.now(ZoneInfo("Europe/Rome")).strftime("%Y-%m-%dT%H:%M")
    yield Shown("key-opens", f"/dashboard/keys/{key}?door=1&at={today}")
    yield Shown("key-does-not-open", f"/dashboard/keys/{key}?door=1&at={NIGHT}")
    yield Shown("key-revoked", f"/dashboard/keys/{revoked}")
    yield Shown("new-key", f"/dashboard/keys/new?lock={lock.lock_id}")
    await desk.page.get_by_label("Until", exact=True).first.fill("2020-01-01T10:00")
    await desk.page.get_by_label("How often may it open?").fill("often")
    await desk.tap("Issue the key")
    await desk.page.get_by_text("The key was not issued").wait_for()
    yield Shown("new-key-refused")
    await desk.visit(f"/dashboard/keys/{key}")
    await desk.page.evaluate("document.querySelector('details [name=form_token]').value = 'old'")
    await desk.page.get_by_text("Revoke this key").click()
    await desk.tap("Revoke the key")
    await desk.page.get_by_text("has grown old").wait_for()
    yield Shown("form-grown-old")
