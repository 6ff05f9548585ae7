"""What the rows of the contract's table speak of: each thing is there when it is first named."""

import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec

from server import clock
from server.domain.secrets import new_uuid
from server.domain.temp_keys import AccessMethod, AccessMode, NewDoor
from server.domain.times import wire_time
from server.storage.mongo import Database
from tests.handlers.asking import Callers
from tests.house import Device, House, Page, command_id_of

_NAME = re.compile(r"[$#]([A-Za-z]+)")
MINUTE = timedelta(minutes=1)


class World:
    """An organisation with a lock and keys in every state, and others who ask for them.

    ``$name`` in a text stands for that thing, ``#name`` as a whole text for it as a number.
    """

    def __init__(self, house: House, callers: Callers, database: Database) -> None:
        self.house = house
        self._callers = callers
        self._database = database
        self._stack = AsyncExitStack()
        self._devices: dict[str, Device] = {}
        self.names: dict[str, str] = {
            "org": house.organization.id,
            "new": new_uuid(),
            "past": _from_now(-1),
            "later": _from_now(60),
            "muchLater": _from_now(120),
            "tooLate": _from_now(60 * 24 * 366 * 5 + 2),
        }
        self._makers: dict[str, Callable[[], Awaitable[str]]] = {
            "lock": lambda: self._device("lock"),
            "lockUuid": self._lock_uuid,
            "theirs": self._their_lock,
            "online": self._online,
            "otherOrg": self._other_organisation,
            "key": self._key,
            "keyFrom": lambda: self._of_key("validFrom"),
            "keyUntil": lambda: self._of_key("validUntil"),
            "early": lambda: self._key(valid_from=clock.now() + 30 * MINUTE),
            "expired": self._expired,
            "once": lambda: self._key(max_uses=1),
            "usedUp": self._used_up,
            "revoked": self._revoked,
            "personal": self._personal,
            "theirKey": self._their_key,
            "panel": lambda: self._key_with_pin("lock", AccessMethod.CODE),
            "either": lambda: self._key_with_pin("lock", AccessMethod.BOTH),
            "onlinePanel": lambda: self._key_with_pin("online", AccessMethod.CODE),
            "earlyPanel": self._early_panel,
            "revokedPanel": lambda: self._key_with_pin("lock", AccessMethod.CODE),
            "pin": lambda: self._pin_of("panel"),
            "onlinePin": lambda: self._pin_of("onlinePanel"),
            "earlyPin": lambda: self._pin_of("earlyPanel"),
            "revokedPin": self._revoked_pin,
            "onlineKey": lambda: self._key_of("online"),
            "twoDoors": lambda: self._key_of("lock", "lock"),
            "twoLocks": lambda: self._key_of("lock", "second"),
            "second": lambda: self._device("second"),
            "command": self._command,
        }

    @classmethod
    async def of(cls, house: House, database: Database) -> "World":
        return cls(house, await Callers.of(house), database)

    async def close(self) -> None:
        """Switch off what was switched on."""
        await self._stack.aclose()

    async def make_what_is_named_in(self, thing: object) -> None:
        """Make all that a request and its answer speak of."""
        for name in _NAME.findall(repr(thing)):
            await self.need(name)

    async def ask(self, what: str, body: Any, who: str, headers: dict[str, str]) -> Page:
        """Ask as ``who``."""
        method, path = self.filled(what).split(" ", 1)
        sent = None if body is None else self.filled(body)
        return await self._callers.ask(who, method, path, sent, **self.filled(headers))

    async def need(self, name: str) -> str:
        """What a name stands for; it is made where it is not there yet."""
        if name not in self.names and name in self._makers:
            self.names[name] = await self._makers[name]()
        return self.names.get(name, "")

    def filled(self, value: Any) -> Any:
        """A value with the names in it replaced, as far as anything has them."""
        match value:
            case str() if value.startswith("#"):
                return int(self.names[value[1:]])
            case str():
                return _NAME.sub(lambda found: self.names.get(found[1], found[0]), value)
            case re.Pattern():
                return re.compile(self.filled(value.pattern))
            case dict():
                return type(value)({name: self.filled(inner) for name, inner in value.items()})
            case list():
                return [self.filled(inner) for inner in value]
            case _:
                return value

    async def rotate_api_key(self) -> None:
        """Give the organisation another API key; nobody here is told of it."""
        provisioning = self.house.services.provisioning
        await provisioning.rotate_api_key(self.house.organization.id, overlap=timedelta())

    # Locks

    async def _device(self, name: str) -> str:
        self._devices[name] = await self.house.device()
        return str(self._devices[name].lock_id)

    async def _lock_uuid(self) -> str:
        lock_id = await self.need("lock")
        return (await self.house.manage("GET", f"/locks/{lock_id}")).json()["uuid"]

    async def _online(self) -> str:
        lock = await self.house.lock("Online")
        await self._stack.enter_async_context(lock.connected())
        await self.house.until_online(lock)
        self._devices["online"] = Device(lock.lock_id, "")
        return str(lock.lock_id)

    async def _their_lock(self) -> str:
        """A lock of the other organisation."""
        lock_id = await self._device("theirs")
        body = {"orgId": await self.need("otherOrg")}
        await self.house.manage("POST", f"/locks/{lock_id}/SetOrganization", body)
        return lock_id

    async def _other_organisation(self) -> str:
        return self._callers.other_organization.id

    # Keys

    async def _key(self, **wanted: Any) -> str:
        return await self._key_of("lock", **wanted)

    async def _key_of(self, *locks: str, **wanted: Any) -> str:
        for lock in locks:
            await self.need(lock)
        return (await self.house.key(*(self._devices[lock] for lock in locks), **wanted)).uuid

    async def _of_key(self, field: str) -> str:
        key_uuid = await self.need("key")
        return (await self.house.manage("GET", f"/temp-keys/{key_uuid}.json")).json()[field]

    async def _expired(self) -> str:
        """Time passes for a key: nobody can issue one that is over."""
        key_uuid = await self._key()
        window = {"validFrom": clock.now() - 2 * MINUTE, "validUntil": clock.now() - MINUTE}
        await self._database["tempKeys"].update_one({"_id": key_uuid}, {"$set": window})
        return key_uuid

    async def _used_up(self) -> str:
        key_uuid = await self._key(max_uses=1)
        await self._at_lock("use-temp-key", {"tempKeyUuid": key_uuid})
        return key_uuid

    async def _revoked(self) -> str:
        key_uuid = await self._key()
        await self.house.manage("DELETE", f"/temp-keys/{key_uuid}")
        return key_uuid

    async def _personal(self) -> str:
        return await self._key(access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=["owner"])

    async def _their_key(self) -> str:
        """A key to a lock that went to the other organisation; the key went nowhere."""
        path, body = (
            "/temp-keys",
            {
                "validFrom": _from_now(0),
                "validUntil": _from_now(60),
                "doors": [{"lockId": await self.need("theirs")}],
            },
        )
        return (await self._callers.ask("other organisation", "POST", path, body)).json()["uuid"]

    async def _key_with_pin(self, lock: str, method: AccessMethod, **wanted: Any) -> str:
        door = NewDoor(lock_id=int(await self.need(lock)), access_method=method)
        return (await self.house.key(doors=[door], **wanted)).uuid

    async def _early_panel(self) -> str:
        soon = clock.now() + 30 * MINUTE
        return await self._key_with_pin("lock", AccessMethod.CODE, valid_from=soon)

    async def _pin_of(self, key: str) -> str:
        """The PIN as the guest's page shows it."""
        page = await self.house.visit(f"/temp-keys/{await self.need(key)}")
        return page.text(".digits").replace(" ", "")

    async def _revoked_pin(self) -> str:
        pin = await self._pin_of("revokedPanel")
        await self.house.manage("DELETE", f"/temp-keys/{self.names['revokedPanel']}")
        return pin

    async def _command(self) -> str:
        path = f"/temp-keys/{await self.need('key')}/open"
        return command_id_of(await self.house.fetch(path, "POST", ""))

    async def _at_lock(self, command: str, body: dict[str, Any]) -> None:
        path = f"/locks/{await self.need('lock')}/{command}"
        page = await self.house.manage("POST", path, body)
        assert page.status == 200, msgspec.json.decode(page.response.body)


def _from_now(minutes: float) -> str:
    return wire_time(clock.now() + timedelta(minutes=minutes))
