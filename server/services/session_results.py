"""What a lock says in one session became of its commands, in results and in events."""

from collections.abc import Callable, Sequence

import structlog

from server.domain.commands import CommandState
from server.domain.errors import CommandNotFound
from server.domain.protocol import Error, Event, LockEvent, Report, Result, ResultStatus
from server.services.session_commands import SessionCommands
from server.services.session_keys import SessionKeys

log = structlog.get_logger(__name__)

_STATE_OF_RESULT = {
    ResultStatus.ACCEPTED: CommandState.ACCEPTED,
    ResultStatus.OPENED: CommandState.OPENED,
    ResultStatus.REFUSED: CommandState.REFUSED,
    ResultStatus.FAILED: CommandState.FAILED,
}


class SessionResults:
    """Brings the lock's word to whom it concerns; one about another lock's command is refused."""

    def __init__(
        self,
        session_id: str,
        lock_id: int,
        commands: SessionCommands,
        keys: SessionKeys,
        refuse: Callable[[Error], None],
    ) -> None:
        self._session_id = session_id
        self._lock_id = lock_id
        self._commands = commands
        self._keys = keys
        self._refuse = refuse

    async def take(self, result: Result) -> None:
        """Record what became of a command, or of a key.

        Raises:
            StorageUnavailable: MongoDB is away; the lock will have to say it again.
        """
        if self._keys.take(result):
            return
        await self._settle(result.command_id, _STATE_OF_RESULT[result.status], result.reason)

    async def take_openings(self, reports: Sequence[Report]) -> None:
        """Record which commands opened the door, as far as these reports tell.

        Raises:
            StorageUnavailable: as ``take``.
        """
        for report in reports:
            if (
                isinstance(report, Event)
                and report.event is LockEvent.OPENED
                and report.command_id is not None
            ):
                await self._settle(report.command_id, CommandState.OPENED, None)

    async def _settle(self, command_id: str, state: CommandState, reason: str | None) -> None:
        try:
            await self._commands.settle(command_id, state, reason)
        except CommandNotFound:
            log.warning("result_of_foreign_command", lock=self._lock_id, session=self._session_id)
            self._refuse(Error(code="unknown_command", message="no such command of this lock"))
