"""PINs: issued with a temp key, shown to its guest, and tried at entrance panels."""

import asyncio
import hmac
from collections.abc import Callable
from zoneinfo import ZoneInfo

from msgspec import Struct

from server import clock
from server.domain.commands import CommandState, OpenCommand
from server.domain.errors import (
    DoorNotFound,
    LockNotFound,
    LockOffline,
    TempKeyNotFound,
)
from server.domain.locks import Lock
from server.domain.organizations import Scope
from server.domain.pins import new_pin, pin_door, pin_doors
from server.domain.refusals import (
    InvalidPin,
    KeyRefused,
    NoFreePin,
    PinsOff,
)
from server.domain.temp_keys import KeyStatus, TempKey, status_of
from server.services.guesses import Guesses
from server.services.opening import Opening
from server.services.pin_vault import PinVault
from server.storage.lock_store import LockStore
from server.storage.pin_store import PinDigest, PinStore, StoredPin
from server.storage.temp_key_store import TempKeyStore

_TRIES_TO_MINT = 50
"""Where half of all PINs are taken at a lock, one in 10¹⁵ keys would need more."""

_REFUSED_AFTER_S = 0.1
"""When a refusal is answered, counted from its request: well after it is known."""

_LOCK_ANSWERS_WITHIN_S = 5.0
"""How long a panel waits for the lock's word; there is no page to follow it on."""

_SAID_BY_THE_LOCK = frozenset({CommandState.ACCEPTED, CommandState.OPENED})

# What is looked up where a PIN leads nowhere, so that as much is looked up as elsewhere.
_NO_KEY = "00000000-0000-0000-0000-000000000000"
_NO_ORGANIZATION = "0"
_NO_DIGEST = "0" * 64


class PinOpening(Struct, frozen=True, kw_only=True):
    """What came of a PIN that may open its door.

    ``success`` is whether the lock itself has said that it opened, or that it is about to
    and nothing else in time. ``offline`` is whether it was offline: nothing was sent to it,
    and nothing will be.
    """

    success: bool
    offline: bool


class PinStores(Struct, frozen=True, kw_only=True):
    """What is known of PINs, and of what they open."""

    pins: PinStore
    keys: TempKeyStore
    locks: LockStore


class Pins:
    """The PINs of temp keys. Without a vault, PINs are off."""

    def __init__(
        self,
        stores: PinStores,
        guesses: Guesses,
        opening: Opening,
        vault: PinVault | None,
        *,
        make_pin: Callable[[], str] = new_pin,
        refused_after_s: float = _REFUSED_AFTER_S,
    ) -> None:
        self._stores = stores
        self._guesses = guesses
        self._opening = opening
        self._maybe_vault = vault
        self._make_pin = make_pin
        self._refused_after_s = refused_after_s

    # With the key

    async def mint(self, key: TempKey) -> None:
        """Claim a PIN for a key, at all locks that it opens by PIN; nothing where there is none.

        Raises:
            PinsOff: the key needs a PIN.
            NoFreePin: none was found that nobody else has.
        """
        if not pin_doors(key):
            return
        vault = self._vault
        for _ in range(_TRIES_TO_MINT):
            if await self._stores.pins.claim(_stored(key, self._make_pin(), vault), clock.now()):
                return
        raise NoFreePin

    async def keep(self, key: TempKey) -> None:
        """Keep the PIN of a key whose window is about to be changed to this one.

        A key that was over for so long that its PIN is gone gets another.

        Raises:
            PinsOff, NoFreePin: it needs another, and there is none.
        """
        if pin_doors(key) and not await self._stores.pins.prolong(key.uuid, key.valid_until):
            await self.mint(key)

    async def free(self, key_uuid: str) -> None:
        """Give up the PIN of a key that opens nothing any more."""
        await self._stores.pins.free(key_uuid)

    async def reveal(self, key: TempKey) -> str | None:
        """The PIN of a key, for whoever may see it: its guest, and who has just issued it.

        Returns:
            None where the key has none, where it is over, and where PINs are off.
        """
        live = status_of(key, clock.now()) in (KeyStatus.VALID, KeyStatus.NOT_YET_VALID)
        if self._maybe_vault is None or not live or not pin_doors(key):
            return None
        stored = await self._stores.pins.find_of_key(key.uuid)
        return None if stored is None else self._maybe_vault.unseal(key.uuid, stored.sealed)

    # At a panel

    async def open(self, lock_id: int, pin: str, address: str) -> PinOpening:
        """Open the door at a lock with a PIN; ``address`` is whom the request comes from.

        The key's rules are those of a tap, but for its list of users: its PIN is shown only
        to them. Whether there is such a lock, such a PIN, and a key that may be used now, is
        one and the same to the caller, in what it is told and in how long that takes.

        Raises:
            PinsOff: there are no PINs here.
            TooManyTries: there were too many wrong ones; this one was not looked at.
            InvalidPin: it does not open this door now.
            StorageUnavailable: MongoDB is away; if a use was taken, it is given back later.
        """
        vault = self._vault
        loop = asyncio.get_running_loop()
        refused_at = loop.time() + self._refused_after_s
        tried = await self._guesses.try_pin(lock_id, address)
        try:
            key, lock = await self._find(lock_id, vault.digest(lock_id, pin))
            door = pin_door(key, lock_id)
            taken = await self._opening.take_use(key, door, ZoneInfo(lock.time_zone))
        except (TempKeyNotFound, LockNotFound, DoorNotFound, KeyRefused):
            await asyncio.sleep(refused_at - loop.time())
            raise InvalidPin from None
        await self._guesses.was_right(tried)
        return _told(await self._opening.open_now_or_never(taken, _LOCK_ANSWERS_WITHIN_S))

    async def _find(self, lock_id: int, digest: str) -> tuple[TempKey, Lock]:
        """The key and the lock of a PIN; the database is asked the same whether there are any."""
        stored = await self._stores.pins.find(lock_id, digest)
        key = await self._key(_NO_KEY if stored is None else stored.key_uuid)
        org_id = _NO_ORGANIZATION if key is None else key.org_id
        lock = await self._stores.locks.find(lock_id, Scope(org_id=org_id))
        if key is None or not hmac.compare_digest(_digest_at(stored, lock_id), digest):
            raise TempKeyNotFound
        return key, lock

    async def _key(self, key_uuid: str) -> TempKey | None:
        try:
            return await self._stores.keys.find(key_uuid)
        except TempKeyNotFound:
            return None

    @property
    def _vault(self) -> PinVault:
        if self._maybe_vault is None:
            raise PinsOff
        return self._maybe_vault


def _stored(key: TempKey, pin: str, vault: PinVault) -> StoredPin:
    lock_ids = sorted({door.lock_id for door in pin_doors(key)})
    return StoredPin(
        key_uuid=key.uuid,
        locks=[PinDigest(lock_id=each, digest=vault.digest(each, pin)) for each in lock_ids],
        sealed=vault.seal(key.uuid, pin),
        valid_until=key.valid_until,
    )


def _digest_at(stored: StoredPin | None, lock_id: int) -> str:
    locks = [] if stored is None else stored.locks
    return next((lock.digest for lock in locks if lock.lock_id == lock_id), _NO_DIGEST)


def _told(command: OpenCommand) -> PinOpening:
    # That nothing came after it in time (``unconfirmed``) takes nothing back of what was said.
    steps = [step.state for step in command.history if step.state is not CommandState.UNCONFIRMED]
    return PinOpening(
        success=bool(steps) and steps[-1] in _SAID_BY_THE_LOCK,
        offline=command.state is CommandState.REFUSED and command.reason == LockOffline.reason,
    )
