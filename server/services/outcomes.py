"""What becomes of open commands: each step is recorded, its use settled, and the news passed on."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from msgspec import structs

from server import clock, tracing
from server.bus.base import Bus, CommandNews
from server.domain.commands import (
    ANSWER_GRACE,
    SETTLED,
    SHOWN_AS_FINAL,
    USE_GIVEN_BACK,
    CommandState,
    OpenCommand,
    advance,
    command_of,
    last_stage,
)
from server.domain.errors import StorageUnavailable
from server.domain.temp_keys import Claim, TempKey
from server.services.metrics import Metrics
from server.storage.command_store import CommandStore
from server.storage.temp_key_store import TempKeyStore

log = structlog.get_logger(__name__)

_IN_HAND_AT_MOST_S = 5.0
"""A session looks at the clock and writes, or not, well before this."""
_SWEEP_EVERY_S = 1.0
_SWEEP_AT_MOST = 500
_LATE_REPORTS_FOR = timedelta(hours=24)
"""For how long a late report may still give back the use of an ``unconfirmed`` command."""


class Outcomes:
    """The one place that changes a command's state."""

    def __init__(
        self, commands: CommandStore, keys: TempKeyStore, bus: Bus, metrics: Metrics
    ) -> None:
        self._commands = commands
        self._keys = keys
        self._bus = bus
        self._metrics = metrics

    async def record(
        self, command_id: str, state: CommandState, reason: str | None = None
    ) -> OpenCommand | None:
        """Take one step, and give the use back where it proves that the door did not open.

        Returns:
            The command after the step; None where the state machine does not allow it.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        command = await self._commands.advance(command_id, state, clock.now(), reason)
        if command is not None:
            await self._after_step(command)
        return command

    async def refuse_unsent(self, command: OpenCommand, reason: str) -> bool:
        """Refuse a command that nobody has sent, and give its use back.

        Returns:
            Whether that is so; False where a session has it in hand, or it is settled.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        await self._commands.insert(command)
        refused = await self._commands.end_unsent(
            command.id, CommandState.REFUSED, clock.now(), reason
        )
        if refused is not None:
            await self._after_step(refused)
        return refused is not None

    async def find(self, command_id: str) -> OpenCommand:
        """The command with that id.

        Raises:
            CommandNotFound: there is none.
        """
        return await self._commands.find(command_id)

    async def wait_until_final(self, command: OpenCommand, timeout_s: float) -> OpenCommand:
        """Wait until there is something final to tell, at most ``timeout_s`` seconds.

        Returns:
            The command as it then stands.
        """
        return await self._wait_while(_is_followed, command, timeout_s)

    async def wait_until_told(self, command: OpenCommand, timeout_s: float) -> OpenCommand:
        """As ``wait_until_final``, but not where the lock was offline: that is told at once.

        Raises:
            CommandNotFound: it is not recorded (yet).
        """
        return await self._wait_while(
            lambda one: _is_followed(one) and not one.offline, command, timeout_s
        )

    async def withdraw(self, command: OpenCommand, reason: str) -> None:
        """See to it that a command is not sent from now on.

        When this returns, either nobody ever will send it, or it was sent before: what
        a session has in hand at this moment is waited for.

        Raises:
            StorageUnavailable: MongoDB is away.
        """
        await self.refuse_unsent(command, reason)
        await self._wait_while(
            lambda one: one.state is CommandState.QUEUED, command, _IN_HAND_AT_MOST_S
        )

    async def sweep_forever(self) -> None:
        """Settle, again and again, what no session will: run as a task of every node."""
        while True:
            try:
                await self.sweep()
            except StorageUnavailable:
                log.warning("sweep_waits_for_storage")
            except Exception:
                log.exception("sweep_failed")  # nobody else would go on with it
            await asyncio.sleep(_SWEEP_EVERY_S)

    async def sweep(self) -> None:
        """Settle commands that ran out of time, and claims that no command settled.

        Every step is compare-and-set, so any number of nodes may sweep at once, and
        a server that was killed anywhere in an opening leaves nothing unsettled.
        """
        now = clock.now()
        for command in await self._commands.unanswered_before(now, _SWEEP_AT_MOST):
            expired = await self._commands.end_unsent(command.id, CommandState.EXPIRED, now)
            if expired is not None:
                await self._after_step(expired)
            elif command.answer_due_at <= now:
                await self.record(command.id, CommandState.UNCONFIRMED)
        before = now - ANSWER_GRACE * 2
        keys = await self._keys.find_with_claims_before(before, _SWEEP_AT_MOST)
        await self._settle(
            [(key, claim) for key in keys for claim in key.claims if claim.expires_at < before]
        )

    async def _wait_while(
        self, goes_on: Callable[[OpenCommand], bool], command: OpenCommand, timeout_s: float
    ) -> OpenCommand:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        with self._bus.watch(command.id) as changes:
            # It may have changed before we listened.
            command = await self._commands.find(command.id)
            while goes_on(command) and loop.time() < deadline:
                news = await changes.wait(deadline - loop.time())
                if news is None or not goes_on(structs.replace(command, state=news.state)):
                    command = await self._commands.find(command.id)
        return command

    async def _after_step(self, command: OpenCommand) -> None:
        self._bus.announce(CommandNews(command_id=command.id, state=command.state))
        self._metrics.command_stepped(command)
        _trace(command)
        if command.state in USE_GIVEN_BACK and command.temp_key_uuid is not None:
            await self._keys.give_use_back(command.temp_key_uuid, command.id)
        if command.state in SHOWN_AS_FINAL:
            _log(command)

    async def _settle(self, unsettled: Sequence[tuple[TempKey, Claim]]) -> None:
        """Settle claims, as far as what became of their commands allows."""
        commands = await self._commands.find_all([claim.command_id for _, claim in unsettled])
        stay_counted: list[tuple[str, str]] = []
        for key, claim in unsettled:
            command = commands.get(claim.command_id)
            if command is None:
                await self._expire_unrecorded(key, claim)
            elif command.state in USE_GIVEN_BACK:
                await self._keys.give_use_back(key.uuid, claim.command_id)
            elif command.state in SETTLED or clock.now() - claim.at > _LATE_REPORTS_FOR:
                stay_counted.append((key.uuid, claim.command_id))
        await self._keys.settle_claims(stay_counted)

    async def _expire_unrecorded(self, key: TempKey, claim: Claim) -> None:
        """The server was killed between the claim and the record: nothing was sent.

        Where this node's clock is wrong, it may be recorded just now: then the next sweep sees to
        it.
        """
        expired = advance(command_of(key, claim), CommandState.EXPIRED, claim.expires_at)
        if await self._commands.insert(expired):
            await self._keys.give_use_back(key.uuid, claim.command_id)


def _trace(command: OpenCommand) -> None:
    """Note the step that a command has just taken, whoever took it, in the trace of its tap."""
    tracing.passed(
        f"until {command.state}",
        command.trace,
        *last_stage(command),
        command=command.id,
        lock=command.lock_id,
        session=command.session_id,
        state=command.state,
        reason=command.reason,
    )


def _is_followed(command: OpenCommand) -> bool:
    return command.state not in SHOWN_AS_FINAL


def _log(command: OpenCommand) -> None:
    """Write the one line that sums a command up; its steps are in its history."""
    took = clock.now() - command.requested_at
    of_trace = {} if command.trace is None else {"trace": tracing.trace_id(command.trace)}
    log.info(
        "command",
        **of_trace,
        command=command.id,
        lock=command.lock_id,
        session=command.session_id,
        state=command.state.value,
        reason=command.reason,
        ms=round(took.total_seconds() * 1000),
    )
