"""Every page and state that a guest may see, each in turn: where it is, and what to call it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import NamedTuple

from handlers.languages import LANGUAGES
from server import clock
from server.domain.guesses import LINKS_OF_ADDRESS
from server.domain.schedule import ScheduleWindow, Weekday
from server.domain.temp_keys import AccessMethod, NewDoor
from server.storage.mongo import Database
from simulator.options import LockOptions
from tests.browser.phone import Phone
from tests.browser.shown import Shown
from tests.house import House, command_id_of
from tests.journeys.bare_lock import BareLock

TAP_WITHOUT_SCRIPT = """(tappedAt) => {
    const form = document.querySelector("form");
    if (tappedAt) form.innerHTML += `<input name="tappedAt" value="${tappedAt}">`;
    HTMLFormElement.prototype.submit.call(form);
}"""
LOGO = (
    "iVBORw0KGgoAAAANSUhEUgAAADAAAAAwAQMAAABtzGvEAAAABlBMVEX////Zeh+PQkFIAAAAAXRSTlMAQObYZgAA"
    "AHVJREFUeNpjYMAOmA8QogyYD/AAqQrmA3JA6gfzAXkg9YeBwR5I1YERA1DkB5DiY39QAKRY5H8ogDTW/wOb8v8/"
    "EsX4/38DgmL+/x9ohfzj//+P/8BOQZWg6UM1E2oR1FqoI6BOgjoQ6lyo46FegXqMiCDAAgAJy0lLiuGlYAAAAABJ"
    "RU5ErkJggg=="
)
"""A sun, 48 pixels a side, as a PNG in base64."""
A_MOMENT = timedelta(seconds=0.1)
BRAND = {"name": "Hotel Aurora", "phone": "+39 06 555 0101", "email": "desk@aurora.example"}


async def guest_pages(house: House, phone: Phone, database: Database) -> AsyncIterator[Shown]:
    """Lead to each page in turn; what it shows holds until the next is asked for."""
    expired = await house.key(await house.device(), valid_until=clock.now() + A_MOMENT)
    await house.manage("PATCH", "/organization", BRAND)
    away, silent = await house.device("Side door"), BareLock(house.url, await house.device("Gate"))
    key_to_away = await house.key(_Numbered(away.lock_id))
    offline = (await house.tap_open(key_to_away)).location
    async for shown in _keys(house):
        yield shown
    async for shown in _refusals(house, phone):
        yield shown
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
    yield Shown("key-expired", f"/temp-keys/{expired.uuid}")
    await database["tempKeys"].insert_one({"_id": "half-a-key"})
    yield Shown("server-broke", "/temp-keys/half-a-key")
    async for shown in _branded(house):
        yield shown
    for _ in range(LINKS_OF_ADDRESS.a_minute):
        await house.visit("/temp-keys/no-such-key")
    yield Shown("too-many-tries", "/temp-keys/no-such-key")


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
        for name, method in (("pin", AccessMethod.CODE), ("tap-or-pin", AccessMethod.BOTH)):
            by_pin = [NewDoor(lock_id=good.lock_id, access_method=method)]
            yield Shown(f"key-by-{name}", f"/temp-keys/{(await house.key(doors=by_pin)).uuid}")
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
        weekday = list(Weekday)[(now + timedelta(days=3)).weekday()]
        hours = [ScheduleWindow(days=[weekday], begin="08:00", until="17:00")]
        a_week = {"valid_until": now + timedelta(days=7), "schedule": hours}
        closed = await house.key(good, poor, **a_week)
        yield Shown("key-outside-hours", f"/temp-keys/{closed.uuid}")


async def _refusals(house: House, phone: Phone) -> AsyncIterator[Shown]:
    """Pages that answer a tap, and what a page says while the network is away."""
    lock = await house.lock("Garden gate")
    key, gone = await house.key(lock), await house.key(lock)
    await phone.visit(f"/temp-keys/{gone.uuid}")
    await house.manage("DELETE", f"/temp-keys/{gone.uuid}")
    await phone.page.evaluate(TAP_WITHOUT_SCRIPT)
    await phone.wait_for_heading("Your key was revoked")
    yield Shown("refused-revoked")
    await phone.visit(f"/temp-keys/{key.uuid}")
    await phone.page.evaluate(TAP_WITHOUT_SCRIPT, "0")
    await phone.wait_for_heading("Your tap came too late")
    yield Shown("refused-too-late")
    personal = await house.key(lock, access_mode="user-whitelist", allowed_user_ids=["ann"])
    await phone.visit(f"/temp-keys/{personal.uuid}")
    await phone.page.get_by_text("Sign in with a token").click()
    await phone.page.get_by_role("textbox").fill("no.good.token")
    await phone.tap("Sign in")
    await phone.page.get_by_text("That did not work").wait_for()
    yield Shown("sign-in-refused")
    await phone.visit(f"/temp-keys/{key.uuid}")
    await phone.page.context.set_offline(True)
    await phone.page.get_by_text("It goes on by itself when the signal is back").wait_for()
    yield Shown("no-signal")
    await phone.tap("Open Garden gate")
    await phone.page.get_by_text("The door opens if your tap gets through").wait_for()
    yield Shown("retrying")
    await phone.page.context.set_offline(False)
    await phone.wait_for_heading("Waiting for the lock")


async def _branded(house: House) -> AsyncIterator[Shown]:
    """The same pages in an organisation's look: one colour that is dark, one that is light."""
    lock = await house.lock("Street gate")
    key = await house.key(lock)
    for name, colour in (("dark", "#6d1f2a"), ("light", "#ffd7e0")):
        look = {"accentColor": colour, "logo": LOGO}
        await house.manage("PATCH", "/organization", look)
        yield Shown(f"brand-{name}", f"/temp-keys/{key.uuid}")
    async with lock.connected():
        opened = (await house.tap_open(key)).location
        yield Shown("brand-opened", opened)


class _Numbered(NamedTuple):
    lock_id: int
