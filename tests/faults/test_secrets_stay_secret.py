"""A whole story on two nodes, full of secrets; then they are looked for where they must not be."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt
import nats
import pytest
from nats.aio.msg import Msg
from tornado.ioloop import IOLoop
from websockets.exceptions import InvalidStatus

from server import clock
from server.domain.commands import new_attempt
from server.domain.secrets import new_api_key, new_device_token, new_uuid
from server.domain.times import wire_time
from server.storage.mongo import Database
from tests.faults.processes import Nats, Server, Site, Town
from tests.house import BROWSER, Device, Page, command_id_of
from tests.journeys.bare_lock import BareLock
from tests.receiver import Received, Receiver
from tests.traces import Collector

FORM = "application/x-www-form-urlencoded"
SETTINGS = {
    f"LATCHKEY_{name}": f"canary-{name.lower()}-0123456789abcdef0123456789"
    for name in ("JWT_SECRET", "SESSION_SECRET", "PIN_SECRET", "WEBHOOK_SECRET", "METRICS_TOKEN")
}
NATS_PASSWORD = "canary-password-of-nats"
OTLP_TOKEN = "canary-token-of-the-collector"


@pytest.fixture
def collector(io_loop: IOLoop) -> Iterator[Collector]:
    async def start() -> Collector:
        return Collector()

    collector = io_loop.run_sync(start)
    yield collector
    io_loop.run_sync(collector.close)


@pytest.fixture
def site(site: Site, nats: Nats, collector: Collector) -> Site:
    """A server with a secret in every setting that takes one; it logs JSON, and is traced."""
    site.server.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
    site.server.variables["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization={OTLP_TOKEN}"
    site.server.variables.update(SETTINGS)
    site.server.variables["LATCHKEY_WEBHOOK_LOOPBACK"] = "true"
    site.server.variables["LATCHKEY_WEBHOOK_RETRIES_S"] = "0.1,600"
    url = f"nats://latchkey:{NATS_PASSWORD}@127.0.0.1:{nats.port}"
    site.server.variables["LATCHKEY_NATS_URL"] = url
    return site


@pytest.fixture
def town(io_loop: IOLoop, site: Site, tmp_path: Path) -> Iterator[Town]:
    """Two such nodes; the second one logs for people."""
    variables = {**site.server.variables, "LATCHKEY_LOG_FORMAT": "pretty"}
    there = site.neighbour(Server(tmp_path / "neighbour.log", variables))
    town = Town(site, there)
    io_loop.run_sync(town.start)
    yield town
    io_loop.run_sync(there.close)


@asynccontextmanager
async def eavesdropping(on: Nats) -> AsyncIterator[list[str]]:
    """All that is said over NATS meanwhile, each message with its subject."""
    client = await nats.connect(f"nats://127.0.0.1:{on.port}")
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        words = message.data.decode(errors="replace")
        heard.append(f"{message.subject} {message.reply} {message.headers} {words}")

    await client.subscribe(">", cb=hear)
    await client.flush()
    try:
        yield heard
    finally:
        await client.flush()
        await client.close()


class Story:
    """What people do at one node with a lock that hangs on the other; and what they know."""

    def __init__(self, site: Site, lock: Device, database: Database) -> None:
        self.site = site
        self.lock = lock
        self.database = database
        self.secrets: dict[str, str] = {"api key": site.api_key, "device token": lock.token}
        self.refusals: list[Page] = []

    async def ask(self, *asked: Any, **headers: str) -> Page:
        """Ask, and keep the answer where it is a refusal."""
        page = await self.site.fetch(*asked, **headers)
        if page.status >= 400:
            self.refusals.append(page)
        return page

    async def manage(self, method: str, path: str, body: object = None) -> Page:
        page = await self.site.manage(method, path, body)
        if page.status >= 400:
            self.refusals.append(page)
        return page

    def window(self) -> dict[str, str]:
        now = clock.now()
        return {"validFrom": wire_time(now), "validUntil": wire_time(now + timedelta(hours=1))}

    async def guest(self) -> None:
        """A key is made, used, looked at in every way, revoked, and used again."""
        doors = [{"lockId": str(self.lock.lock_id)}]
        made = await self.manage("POST", "/temp-keys", {"doors": doors, **self.window()})
        uuid = self.secrets["key"] = made.json()["uuid"]
        attempt = self.secrets["attempt"] = new_attempt()
        tap = urlencode({"attempt": attempt})
        opening = f"/temp-keys/{uuid}/doors/1/open"
        tapped = await self.ask(opening, "POST", tap, Accept=BROWSER, Content_Type=FORM)
        await self.site.until_state(command_id_of(tapped), "opened")
        await self.ask(tapped.location, Accept=BROWSER)
        for path in ("", ".json", "/qr.svg"):
            await self.manage("GET", f"/temp-keys/{uuid}{path}")
        await self.manage("POST", f"/temp-keys/{uuid}/explain", {})
        await self.ask(f"/temp-keys/{uuid}/doors/9/open", "POST", tap, Content_Type=FORM)
        await self.manage("DELETE", f"/temp-keys/{uuid}")
        await self.ask(opening, "POST", "", Content_Type=FORM)
        await self.ask(f"/temp-keys/{uuid}/nowhere")

    async def key_of_ones_own_choice(self) -> None:
        """A partner chooses what the key is called, twice, and opens with it."""
        uuid = self.secrets["chosen key"] = f"canary-of-the-summer-house-{new_attempt()}"
        body = {"tempKeyUuid": uuid, "accessMode": "public", **self.window()}
        for _ in range(2):
            await self.manage("POST", f"/locks/{self.lock.lock_id}/create-temp-key", body)
        await self.ask(f"/temp-keys/{uuid}/open", "POST", "", Content_Type=FORM)

    async def pin(self) -> None:
        """A right PIN and a wrong one are entered."""
        doors = [{"lockId": str(self.lock.lock_id), "accessMethod": "code"}]
        made = await self.manage("POST", "/temp-keys", {"doors": doors, **self.window()})
        self.secrets["key with a PIN"] = made.json()["uuid"]
        right = self.secrets["PIN"] = made.json()["pin"]
        wrong = self.secrets["wrong PIN"] = f"{(int(right) + 1) % 1_000_000:06}"
        panel = f"/locks/{self.lock.lock_id}/open-with-pin"
        for pin in (right, wrong):
            await self.ask(panel, "POST", f'{{"pin":"{pin}"}}')
        await self.ask(panel, "POST", f'{{"pin":{wrong}')
        await self.ask(panel, "POST", f'{{"pin":{int(wrong)},"x":"{wrong}"}}')

    async def credentials(self) -> None:
        """Good ones and bad ones of every kind, and in places where they do not belong."""
        claims: dict[str, Any] = {"sub": "anna", "iss": "latchkey", "aud": "latchkey"}
        claims["exp"] = clock.now() + timedelta(hours=1)
        good = jwt.encode(claims, SETTINGS["LATCHKEY_JWT_SECRET"])
        forged = jwt.encode(claims, "another secret, which has 32 bytes as well")
        stolen = new_api_key()
        self.secrets |= {"token": good, "forged token": forged, "unknown API key": stolen}
        for token in (good, forged, stolen):
            await self.ask("/locks", Authorization=f"Bearer {token}")
            await self.ask("/metrics", Authorization=f"Bearer {token}")
            await self.ask("/locks", X_API_Key=token)
            await self.ask(f"/locks?after={token}&limit={token}", X_API_Key=self.site.api_key)
            await self.ask("/session", "POST", urlencode({"token": token}), Content_Type=FORM)
            await self.ask("/temp-keys", "POST", f'{{"doors":"{token}"', X_API_Key=stolen)
            await self.manage("POST", "/temp-keys", {"doors": token, token: token})
        unknown = self.secrets["wrong device token"] = new_device_token()
        with pytest.raises(InvalidStatus):
            async with BareLock(self.site.url, Device(self.lock.lock_id, unknown)).connection():
                pass

    async def webhook(self, receiver: Receiver) -> None:
        """A receiver with a token in its URL, which breaks, and is told of a key."""
        token = self.secrets["token of the receiver"] = f"canary{new_attempt()}"
        url = f"{receiver.url}/hook/{token}?token={token}"
        made = await self.manage("POST", "/webhooks", {"url": url, "events": ["*"]})
        webhook = made.json()
        self.secrets["webhook secret"] = webhook["secret"]
        await self.manage("POST", f"/webhooks/{webhook['id']}/test")
        await self.manage("POST", "/webhooks", {"url": f"ftp://{token}@nowhere/{token}"})

    async def crash(self) -> None:
        """A handler breaks on a key that somebody has damaged in MongoDB."""
        uuid = self.secrets["damaged key"] = new_uuid()
        await self.database["tempKeys"].insert_one({"_id": uuid, "doors": uuid})
        broken = await self.ask(f"/temp-keys/{uuid}?token={uuid}")
        assert broken.status == 500

    async def new_credential(self) -> None:
        """The lock gets another token."""
        made = await self.manage("POST", f"/locks/{self.lock.lock_id}/credentials")
        self.secrets["new device token"] = made.json()["token"]


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    async def breaks(_: Received) -> int:
        return 500

    async def start() -> Receiver:
        receiver = Receiver()
        receiver.answer = breaks
        return receiver

    receiver = io_loop.run_sync(start)
    yield receiver
    io_loop.run_sync(receiver.close)


async def metrics_of(site: Site) -> str:
    token = SETTINGS["LATCHKEY_METRICS_TOKEN"]
    page = await site.fetch("/metrics", Authorization=f"Bearer {token}")
    return page.response.body.decode()


def shows(text: str, secret: str) -> bool:
    """Whether a secret stands in a text, as a word where it is as short as a PIN."""
    if len(secret) < 10:
        return re.search(rf"(?<![\w.]){secret}(?!\w)", text) is not None
    return secret.lower() in text.lower()


async def test_no_log_metric_span_message_or_refusal_shows_any_secret(
    town: Town, nats: Nats, database: Database, receiver: Receiver, collector: Collector
) -> None:
    here, there = await town.here.locks(), await town.there.locks()
    await asyncio.gather(here.start(town.here.url), there.start(town.there.url))
    await asyncio.gather(here.until_said("welcomed"), there.until_said("welcomed"))
    stories = [
        Story(town.here, there.all[0], database),
        Story(town.there, here.all[0], database),
    ]
    async with eavesdropping(nats) as heard:
        for story in stories:
            await story.webhook(receiver)
            await story.guest()
            await story.key_of_ones_own_choice()
            await story.pin()
            await story.credentials()
            await story.crash()
            await story.new_credential()

        await receiver.until_received("TempKeyCreated")
        metrics = [await metrics_of(site) for site in town]
    for process in (here, there):
        await process.kill()
    for site in town:
        site.server.ask_to_end()
        assert await site.server.exit_status() == 0

    logs = [site.server.output for site in town]
    refusals = [page.response.body.decode() for story in stories for page in story.refusals]
    places = {"json log": logs[0], "pretty log": logs[1], "metrics": "\n".join(metrics)}
    places |= {"nats": "\n".join(heard), "refusals": "\n".join(refusals)}
    places["spans"] = collector.words.decode(errors="replace")
    secrets = [("password of NATS", NATS_PASSWORD), *SETTINGS.items()]
    secrets.append(("token of the collector", OTLP_TOKEN))
    secrets += [pair for story in stories for pair in story.secrets.items()]
    shown = [
        (name, what) for name, text in places.items() for what, it in secrets if shows(text, it)
    ]
    assert shown == []

    # It was all there to be shown.
    for log in logs:
        for event in ("request_broke", "session", "command", "Traceback"):
            assert event in log, event
    assert all("latchkey_commands_total" in text for text in metrics)
    for subject in (".v1.lock.", ".v1.news.commands ", "traceparent"):
        assert subject in places["nats"], subject
    names = {span.name for span in collector.spans}
    assert names >= {"POST OpenDoor", "claim a use", "act for another node", "until opened"}
    assert {page.status for story in stories for page in story.refusals} >= {400, 401, 404, 500}
