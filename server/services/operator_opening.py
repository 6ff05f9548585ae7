"""Opening a lock without a temp key, for those who manage it."""

from datetime import timedelta

from msgspec import Struct
from structlog.contextvars import bind_contextvars

from server import clock, tracing
from server.domain import lock_changes
from server.domain.commands import CommandState, OpenCommand, RefusalReason, Step, digest_id
from server.domain.errors import CommandNotFound, LockBusy, LockOffline, LockUnreachable
from server.domain.events import Done
from server.domain.lock_news import requested_id
from server.domain.lock_requests import OpenLock
from server.domain.organizations import Operator
from server.domain.secrets import new_id
from server.services.delivery import Delivery
from server.services.outcomes import Outcomes
from server.storage.event_store import EventStore
from server.storage.lock_store import LockStore

_ANSWER_WITHIN_S = 0.5
"""How long the caller waits for the lock's own word before the answer is "it was sent"."""


class Opened(Struct, frozen=True, kw_only=True):
    """An opening that was sent to the lock: its command as it stands, and what was told of it."""

    command: OpenCommand
    done: Done


class OperatorOpening:
    """Open commands that an operator gives."""

    def __init__(
        self,
        locks: LockStore,
        events: EventStore,
        outcomes: Outcomes,
        delivery: Delivery,
        command_life: timedelta,
    ) -> None:
        self._locks = locks
        self._events = events
        self._outcomes = outcomes
        self._delivery = delivery
        self._command_life = command_life

    async def open(self, operator: Operator, lock_id: int, wanted: OpenLock) -> Opened:
        """Open a lock now or not at all; that it was asked for is told in either case.

        The same ``request_id`` of the same caller means the same command.

        Raises:
            LockNotFound: the caller has no such lock.
            LockOffline, LockUnreachable: nothing was sent to it, and nothing will be.
            LockBusy: it is opening already; nothing was sent.
            StorageUnavailable: MongoDB is away.
        """
        lock = await self._locks.find(lock_id, operator.scope)
        command_id = new_id()
        if wanted.request_id is not None:
            caller = f"{len(operator.name)}:{operator.name}"
            command_id = digest_id("OpenLock", str(lock.id), caller, wanted.request_id)
            try:
                earlier = await self._outcomes.find(command_id)
            except CommandNotFound:
                pass
            else:
                return Opened(command=_sent(earlier), done=Done(version=lock.version))
        bind_contextvars(command=command_id)
        now = clock.now()
        [requested] = lock_changes.open_lock(wanted, lock, now).events
        is_new = await self._events.record_once(requested_id(command_id), requested, now)
        event = await self._events.find(requested_id(command_id)) if is_new else None
        command = OpenCommand(
            id=command_id,
            org_id=lock.org_id,
            lock_id=lock.id,
            requested_at=now,
            expires_at=now + self._command_life,
            trace=tracing.carried(),
            history=[Step(state=CommandState.QUEUED, at=now)],
        )
        # Where another request with this id is doing the same, it is one command all the same.
        await self._delivery.deliver_now_or_never(command)
        command = await self._outcomes.find(command_id)
        command = await self._outcomes.wait_until_final(command, _ANSWER_WITHIN_S)
        version = lock.version if event is None else event.version
        return Opened(command=_sent(command), done=Done(version=version, event=event))


def _sent(command: OpenCommand) -> OpenCommand:
    """The command, if the lock was told of it.

    Raises:
        LockOffline, LockUnreachable, LockBusy: it was not.
    """
    if command.offline or command.state is CommandState.EXPIRED:
        raise LockOffline
    if command.state is CommandState.REFUSED and command.reason == RefusalReason.UNREACHABLE:
        raise LockUnreachable
    if command.state is CommandState.REFUSED and command.reason == RefusalReason.BUSY:
        raise LockBusy
    return command
