"""Changing a lock's credential: the connection that the old one opened ends with it.

It ends wherever it is: on all nodes that hear of the change at once, and else when they look.
"""

from server import clock
from server.bus.base import Bus
from server.domain.events import LockCredentialRotated
from server.domain.organizations import Operator
from server.domain.times import wire_time
from server.services.lock_credentials import LockCredentials, NewDeviceToken
from server.storage.event_store import EventStore
from server.storage.lock_store import LockStore


class CredentialChanges:
    """What an operator does with the credential of a lock."""

    def __init__(
        self,
        credentials: LockCredentials,
        locks: LockStore,
        events: EventStore,
        bus: Bus,
    ) -> None:
        self._credentials = credentials
        self._locks = locks
        self._events = events
        self._bus = bus

    async def issue_token(self, operator: Operator, lock_id: int) -> NewDeviceToken:
        """Issue a device token, shown only this once, in place of whatever the lock had.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        token = await self._credentials.rotate(operator.scope, lock_id)
        await self._took_effect(operator, lock_id)
        return token

    async def register_public_key(self, operator: Operator, lock_id: int, pem: str) -> None:
        """Let the lock sign its own tokens, in place of whatever it had.

        Raises:
            LockNotFound: the caller has no such lock.
            InvalidInput: ``publicKey`` is not the PEM of an Ed25519 or P-256 public key.
        """
        await self._credentials.register_public_key(operator.scope, lock_id, pem)
        await self._took_effect(operator, lock_id)

    async def revoke(self, operator: Operator, lock_id: int) -> None:
        """Leave the lock without a credential.

        Raises:
            LockNotFound: the caller has no such lock.
        """
        await self._credentials.revoke(operator.scope, lock_id)
        await self._took_effect(operator, lock_id)

    async def _took_effect(self, operator: Operator, lock_id: int) -> None:
        self._bus.lock_changed(lock_id)
        lock = await self._locks.find(lock_id, operator.scope)
        now = clock.now()
        rotated = LockCredentialRotated(lock_id=lock_id, timestamp=wire_time(now), uuid=lock.uuid)
        await self._events.record([rotated], now)
