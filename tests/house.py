"""A small house for tests: one organisation, its locks, its keys, and guests who ring."""

import asyncio
import io
from asyncio import StreamReader
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from bs4 import BeautifulSoup
from msgspec import structs
from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders, parse_response_start_line

from server import clock
from server.domain.commands import new_attempt
from server.domain.organizations import Operator, Organization
from server.domain.secrets import new_id
from server.domain.temp_keys import NewDoor, NewTempKey, TempKey
from server.services.provisioning import NewLock
from server.services.registry import Services
from server.settings import Settings
from simulator.door import DoorTimes
from simulator.options import LockOptions
from simulator.simulated_lock import SimulatedLock

QUICK_DOOR = DoorTimes(bolt_s=0.05)
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"
"""The ``Accept`` of a browser."""

ENDLESS = ("/stream", "/dashboard/stream")
"""Paths whose answers go on until the caller leaves."""

_LOOK_AGAIN_AFTER_S = 0.02

FoundT = TypeVar("FoundT")


async def until(look: Callable[[], Awaitable[FoundT | None]], timeout_s: float = 20.0) -> FoundT:
    """Look again and again until there is something to see; what it was.

    Raises:
        TimeoutError: there was nothing within ``timeout_s``.
    """
    async with asyncio.timeout(timeout_s):
        while not (found := await look()):
            await asyncio.sleep(_LOOK_AGAIN_AFTER_S)
        return found


@asynccontextmanager
async def raw_answer(request: HTTPRequest) -> AsyncIterator[tuple[HTTPResponse, StreamReader]]:
    """The head of an answer, and its body to be read bit by bit; cut off when this ends.

    It is asked for in HTTP/1.0, so that the body comes as it is.
    """
    where = urlsplit(request.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    try:
        target = where.path + (f"?{where.query}" if where.query else "")
        lines = [f"{name}: {value}" for name, value in HTTPHeaders(request.headers).get_all()]
        head = [f"GET {target} HTTP/1.0", f"Host: {where.netloc}", *lines, "", ""]
        writer.write("\r\n".join(head).encode())
        async with asyncio.timeout(20):
            answered = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, _, headers = answered.partition("\r\n")
        code = parse_response_start_line(status).code
        yield HTTPResponse(request, code, HTTPHeaders.parse(headers), io.BytesIO()), reader
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def _first_words(request: HTTPRequest) -> HTTPResponse:
    """An answer without an end, up to its first words; an error as a whole."""
    async with raw_answer(request) as (answer, reader), asyncio.timeout(20):
        words = await (reader.read(2**16) if answer.code == 200 else reader.read())
        return HTTPResponse(request, answer.code, answer.headers, io.BytesIO(words))


def another_node(settings: Settings) -> Settings:
    """The settings for a node that runs beside others: each start of a name ends its leases."""
    return structs.replace(settings, node_name=new_id())


class HasLockId(Protocol):
    """A lock, however it is played."""

    @property
    def lock_id(self) -> int: ...


class HasUuid(Protocol):
    """A temp key, as far as its guests know it."""

    @property
    def uuid(self) -> str: ...


class Device(NamedTuple):
    """A lock as it leaves the factory: its number, and the token it connects with."""

    lock_id: int
    token: str


class Page:
    """An answer of the server, read as a person would."""

    def __init__(self, response: HTTPResponse) -> None:
        self.response = response
        self.status = response.code
        self.html = BeautifulSoup(response.body.decode(errors="replace"), "html.parser")

    def text(self, selector: str) -> str:
        """The words of the first element that matches."""
        found = self.html.select_one(selector)
        assert found is not None, f"no {selector} in:\n{self.html.get_text()}"
        return " ".join(found.get_text().split())

    def json(self) -> Any:
        """The answer's JSON."""
        return msgspec.json.decode(self.response.body)

    @property
    def location(self) -> str:
        """Where the answer sends the browser."""
        return self.response.headers["Location"]


class People:
    """Guests and operators, who ask a server over HTTP."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self.api_key = api_key
        self._http = AsyncHTTPClient(force_instance=True, max_clients=400)

    def leave(self) -> None:
        """Ask nothing more."""
        self._http.close()

    async def fetch(
        self, path: str, method: str = "GET", body: str | bytes | None = None, **headers: str
    ) -> Page:
        """Ask the server, without following redirects."""
        request = HTTPRequest(
            self.url + path,
            method=method,
            body=body,
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            follow_redirects=False,
            allow_nonstandard_methods=True,
            request_timeout=20,
        )
        if method == "GET" and urlsplit(path).path in ENDLESS:
            return Page(await _first_words(request))
        return Page(await self._http.fetch(request, raise_error=False))

    async def visit(self, path: str) -> Page:
        """Open a page as a browser does."""
        return await self.fetch(path, Accept=BROWSER)

    async def tap_open(self, key: HasUuid, door_id: int = 1, attempt: str | None = None) -> Page:
        """Tap Open on the guest page of a key."""
        return await self.fetch(
            f"/temp-keys/{key.uuid}/doors/{door_id}/open",
            method="POST",
            body=urlencode({"attempt": attempt or new_attempt()}),
            Accept=BROWSER,
            Content_Type="application/x-www-form-urlencoded",
        )

    async def manage(self, method: str, path: str, body: object = None) -> Page:
        """Ask as the organisation's operator, with its API key."""
        encoded = None if body is None else msgspec.json.encode(body)
        return await self.fetch(
            path, method, encoded, X_API_Key=self.api_key, Content_Type="application/json"
        )

    # What an operator sees

    async def connection(self, lock: HasLockId) -> dict[str, Any]:
        """A lock's presence."""
        page = await self.manage("GET", f"/locks/{lock.lock_id}")
        return page.json()["connection"]

    async def until_online(self, lock: HasLockId, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait until a lock is shown online; its presence."""
        return await self._until_online_is(lock, True, timeout_s)

    async def until_offline(self, lock: HasLockId, timeout_s: float = 20.0) -> dict[str, Any]:
        """Wait until a lock is shown offline; its presence."""
        return await self._until_online_is(lock, False, timeout_s)

    async def _until_online_is(
        self, lock: HasLockId, wanted: bool, timeout_s: float
    ) -> dict[str, Any]:
        async def look() -> dict[str, Any] | None:
            connection = await self.connection(lock)
            return connection if connection["online"] is wanted else None

        return await until(look, timeout_s)

    async def command(self, command_id: str) -> dict[str, Any]:
        """What became of a command."""
        return (await self.manage("GET", f"/commands/{command_id}")).json()

    async def until_state(
        self, command_id: str, state: str, timeout_s: float = 20.0
    ) -> dict[str, Any]:
        """Wait until a command is in a state; the command."""

        async def look() -> dict[str, Any] | None:
            command = await self.command(command_id)
            return command if command.get("state") == state else None

        return await until(look, timeout_s)

    async def commands_of(self, lock: HasLockId) -> list[dict[str, Any]]:
        """A lock's commands, newest first."""
        return (await self.manage("GET", f"/locks/{lock.lock_id}/commands")).json()["commands"]

    async def used_count(self, key: HasUuid) -> int:
        """How many uses of a key are taken."""
        keys = (await self.manage("GET", "/temp-keys")).json()["tempKeys"]
        return next(shown["usedCount"] for shown in keys if shown["uuid"] == key.uuid)

    async def until_used_count(self, key: HasUuid, uses: int) -> None:
        """Wait until so many uses of a key are taken: one is given back after its command's step.

        Raises:
            TimeoutError: it is another number all the while.
        """

        async def look() -> bool:
            return await self.used_count(key) == uses

        await until(look)


def command_id_of(page: Page) -> str:
    """The command that the answer to a tap leads to."""
    return parse_qs(urlsplit(page.location).query)["command"][0]


class House(People):
    """One organisation on a running server."""

    def __init__(
        self,
        services: Services,
        url: str,
        folder: Path,
        organization: Organization,
        api_key: str,
    ) -> None:
        super().__init__(url, api_key)
        self.services = services
        self.organization = organization
        self.operator = Operator(org_id=organization.id, name="test")
        self._folder = folder
        self._locks: list[SimulatedLock] = []

    @classmethod
    async def build(cls, services: Services, url: str, folder: Path) -> "House":
        """Set an organisation up."""
        organization = await services.provisioning.create_organization("Test house")
        api_key = await services.provisioning.issue_api_key(organization.id)
        return cls(services, url, folder, organization, api_key)

    async def close(self) -> None:
        """Switch the locks off."""
        for lock in self._locks:
            await lock.power_off()
        self.leave()

    # Locks and keys

    async def lock(
        self,
        name: str = "Front door",
        time_zone: str = "Europe/Rome",
        options: LockOptions | None = None,
    ) -> SimulatedLock:
        """A lock of the house, switched off."""
        device = await self.device(name, time_zone)
        options = options or LockOptions(times=QUICK_DOOR, telemetry_every_s=None)
        simulated = SimulatedLock(device.lock_id, self.url, device.token, self._folder, options)
        self._locks.append(simulated)
        return simulated

    async def device(self, name: str = "Front door", time_zone: str = "Europe/Rome") -> Device:
        """A lock of the house that nobody plays yet."""
        wanted = NewLock(name=name, time_zone=time_zone)
        lock = await self.services.provisioning.create_lock(self.organization.id, wanted)
        token = await self.services.provisioning.issue_device_token(self.organization.id, lock.id)
        return Device(lock.id, token)

    async def key(self, *locks: HasLockId, **wanted: Any) -> TempKey:
        """A temp key for these locks, valid for an hour unless told otherwise."""
        now = clock.now()
        fields: dict[str, Any] = {
            "valid_from": now - timedelta(minutes=1),
            "valid_until": now + timedelta(hours=1),
            "doors": [NewDoor(lock_id=lock.lock_id) for lock in locks],
        }
        return (
            await self.services.temp_keys.create(self.operator, NewTempKey(**fields | wanted))
        ).key
