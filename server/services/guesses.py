"""How often somebody may be wrong: about PINs, guest links, and signing in."""

from datetime import datetime

from msgspec import Struct

from server import clock
from server.domain.addresses import neighbourhood
from server.domain.guesses import (
    LINKS_OF_ADDRESS,
    PINS_OF_ADDRESS,
    PINS_OF_LOCK,
    SIGN_INS_OF_ADDRESS,
)
from server.domain.refusals import TooManyTries
from server.storage.guess_store import GuessStore


class PinTry(Struct, frozen=True, kw_only=True):
    """A PIN that is being tried, and counts as wrong until it turns out to be right."""

    lock: str
    address: str
    at: datetime


class SignInTry(Struct, frozen=True, kw_only=True):
    """A try to sign in, which counts as wrong until it turns out to be right."""

    address: str
    at: datetime


class Guesses:
    """Counts wrong tries for all nodes together; the rule is in ``server.domain.guesses``."""

    def __init__(self, store: GuessStore) -> None:
        self._store = store

    async def try_pin(self, lock_id: int, address: str) -> PinTry:
        """Let a PIN be tried at a lock, whether there is such a lock or not.

        Raises:
            TooManyTries: there were too many wrong ones at this lock or from this address.
        """
        tried = PinTry(
            lock=f"pin at lock {lock_id}",
            address=f"pin from {neighbourhood(address)}",
            at=clock.now(),
        )
        await self._store.take(tried.address, PINS_OF_ADDRESS, tried.at)
        try:
            await self._store.take(tried.lock, PINS_OF_LOCK, tried.at)
        except TooManyTries:
            await self._store.give_back(tried.address, PINS_OF_ADDRESS, tried.at)
            raise
        return tried

    async def was_right(self, tried: PinTry) -> None:
        """Do not count a try that was right; the wrong ones before it still count."""
        await self._store.give_back(tried.lock, PINS_OF_LOCK, tried.at)
        await self._store.give_back(tried.address, PINS_OF_ADDRESS, tried.at)

    async def try_sign_in(self, address: str) -> SignInTry:
        """Let somebody try to sign in to the dashboard.

        Raises:
            TooManyTries: there were too many wrong tries from this address.
        """
        tried = SignInTry(address=f"sign-in from {neighbourhood(address)}", at=clock.now())
        await self._store.take(tried.address, SIGN_INS_OF_ADDRESS, tried.at)
        return tried

    async def signed_in(self, tried: SignInTry) -> None:
        """Do not count a try that was right; the wrong ones before it still count."""
        await self._store.give_back(tried.address, SIGN_INS_OF_ADDRESS, tried.at)

    async def missed_link(self, address: str) -> None:
        """Count a guest link that leads nowhere.

        Raises:
            TooManyTries: there were too many of them from this address.
        """
        subject = f"link from {neighbourhood(address)}"
        await self._store.take(subject, LINKS_OF_ADDRESS, clock.now())
