"""The open commands of one session: sent once, one at a time, settled by the lock's word."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from server import clock
from server.domain.commands import (
    ANSWER_GRACE,
    LONGEST_LIFE,
    CommandState,
    OpenCommand,
    RefusalReason,
)
from server.domain.errors import ChannelClosed, CommandNotFound, LockOffline, StorageUnavailable
from server.domain.locks import Lock
from server.domain.protocol import Command, encode_frame
from server.domain.times import wire_time
from server.services.channel import Channel
from server.services.outcomes import Outcomes
from server.storage.command_store import CommandStore

log = structlog.get_logger(__name__)

_LOOK_AGAIN_AFTER_S = 0.02


class SessionCommands:
    """Takes commands to the lock of one session."""

    def __init__(
        self,
        session_id: str,
        lock: Lock,
        channel: Channel,
        commands: CommandStore,
        outcomes: Outcomes,
        holds: Callable[[], Awaitable[bool]],
    ) -> None:
        self._session_id = session_id
        self.lock = lock
        self._channel = channel
        self._commands = commands
        self._outcomes = outcomes
        self._holds = holds
        self._in_hand: _InHand | None = None

    async def open(self, command: OpenCommand) -> OpenCommand:
        """Take a command to the lock, if there is still time and the lock is not busy.

        Whether the lock is in this session still is asked of MongoDB first, and the lock is
        read again with it. It is recorded that this session has the command in hand before
        anything is sent, and time is looked at again after that wait: whatever happens to this
        process, the command is never sent late and never twice.

        Returns:
            The command as it stands when the frame is written, or will not be.

        Raises:
            LockOffline: another session has taken the lock; nothing was sent or recorded.
            StorageUnavailable: it could not be recorded, so nothing was sent.
        """
        if not await self._holds():
            raise LockOffline
        if command.org_id != self.lock.org_id:  # the lock was given away since
            await self._outcomes.refuse_unsent(command, RefusalReason.REVOKED)
            return await self._outcomes.find(command.id)
        same = self._in_hand
        if same is not None and same.command_id == command.id:
            async with same.sending:
                pass  # whoever asked for it first is just recording it
        busy = self._in_hand
        if busy is not None and busy.may_be_answered():
            if busy.command_id != command.id:
                await self._outcomes.refuse_unsent(command, RefusalReason.BUSY)
            return await self._outcomes.find(command.id)
        in_hand = self._in_hand = _InHand(command)
        async with in_hand.sending:
            sent = False
            try:
                if not await self._commands.hand_to_session(command, self._session_id):
                    return await self._outcomes.find(command.id)
                sent = self._send(command, in_hand)
            finally:
                if not sent:
                    self._in_hand = None
            state = CommandState.SENT if sent else CommandState.EXPIRED
            try:
                return await self._outcomes.record(command.id, state) or command
            except StorageUnavailable:
                # Whatever the record says now, it was sent (or was not): the sweep, or the
                # lock's own word, completes it.
                log.warning("step_not_recorded", command=command.id, state=state.value)
                return command

    async def wait_until_idle(self, within_s: float) -> None:
        """Wait until the lock has answered its command, or will not any more, but not longer."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + within_s
        while self._in_hand is not None and self._in_hand.may_be_answered():
            if loop.time() >= give_up_at:
                return
            await asyncio.sleep(_LOOK_AGAIN_AFTER_S)

    async def settle(self, command_id: str, state: CommandState, reason: str | None) -> None:
        """Record what the lock says became of a command.

        Raises:
            CommandNotFound: there is no such command to this lock.
            StorageUnavailable: MongoDB is away; the lock will have to say it again.
        """
        in_hand = self._in_hand
        if in_hand is None or in_hand.command_id != command_id:
            command = await self._outcomes.find(command_id)
            if command.lock_id != self.lock.id:
                raise CommandNotFound
            if command.session_id != self._session_id and not await self._holds():
                return  # the session that has taken the lock since hears it as well
            await self._outcomes.record(command_id, state, reason)
            return
        async with in_hand.sending:  # first it is recorded that it was sent
            await self._outcomes.record(command_id, state, reason)
        if state is not CommandState.ACCEPTED:
            self._in_hand = None

    def _send(self, command: OpenCommand, in_hand: "_InHand") -> bool:
        """Write the frame, if there is still time by either clock; whether it was written."""
        if in_hand.is_over() or clock.now() >= command.expires_at:
            return False
        try:
            self._channel.send(encode_frame(self._frame(command)))
        except ChannelClosed:
            return False
        return True

    def _frame(self, command: OpenCommand) -> Command:
        return Command(
            id=command.id,
            session_id=self._session_id,
            issued_at=wire_time(command.requested_at),
            expires_at=wire_time(command.expires_at),
            open_for_seconds=self.lock.open_for_seconds,
            action="open",
        )


class _InHand:
    """The command that this session has sent, or is about to."""

    def __init__(self, command: OpenCommand) -> None:
        self.command_id = command.id
        self.sending = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        life = command.expires_at - clock.now()
        if life > LONGEST_LIFE:  # the clock of the node that made it is wrong, or this one's
            life = timedelta(0)
        self._over_at = self._loop.time() + life.total_seconds()
        self._answer_due_at = self._over_at + ANSWER_GRACE.total_seconds()

    def is_over(self) -> bool:
        """Whether the command's life is over, by the clock that nobody sets."""
        return self._loop.time() >= self._over_at

    def may_be_answered(self) -> bool:
        """Whether the lock may still say what became of it before that is unconfirmed."""
        return self._loop.time() < self._answer_due_at
