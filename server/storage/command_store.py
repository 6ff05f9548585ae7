"""Open commands and every step they take."""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from server.domain.commands import CommandState, OpenCommand, Step, predecessors
from server.domain.errors import CommandNotFound
from server.storage.mark_store import UNTOLD
from server.storage.mongo import Database, Document, Documents, older_than, reports_outages

_commands = Documents(OpenCommand)
_UNANSWERED = [CommandState.QUEUED.value, CommandState.SENT.value, CommandState.ACCEPTED.value]


@reports_outages
class CommandStore:
    """The collection ``commands``: one document each, changed by compare-and-set only."""

    def __init__(self, database: Database) -> None:
        self._commands = database["commands"]

    async def insert(self, command: OpenCommand) -> bool:
        """Add a command.

        Returns:
            False where there is one with its id already; that one is left as it is.
        """
        try:
            await self._commands.insert_one(_document(command))
        except DuplicateKeyError:
            return False
        return True

    async def insert_offline(self, command: OpenCommand) -> bool:
        """Add a command whose lock was offline, or note that of it, while nobody has it in hand.

        Returns:
            False where a session has it, or it is settled.
        """
        document = _document(command)
        for given_otherwise in ("_id", "state", "offline"):
            del document[given_otherwise]
        try:
            await self._commands.update_one(
                {"_id": command.id, "state": CommandState.QUEUED.value, "sessionId": None},
                {"$setOnInsert": document, "$set": {"offline": True}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        return True

    async def hand_to_session(self, command: OpenCommand, session_id: str) -> bool:
        """Record, durably and before anything is sent, that a session takes the command in hand.

        Adds the command where it is not stored yet.

        Returns:
            False where another session has it, or it is not ``queued`` any more: then
            it must not be sent.
        """
        document = _document(command)
        for given_by_the_update in ("_id", "state", "sessionId"):
            document.pop(given_by_the_update, None)
        try:
            await self._commands.update_one(
                {"_id": command.id, "state": CommandState.QUEUED.value, "sessionId": None},
                {"$setOnInsert": document, "$set": {"sessionId": session_id}},
                upsert=True,
            )
        except DuplicateKeyError:
            return False
        return True

    async def find(self, command_id: str) -> OpenCommand:
        """The command with that id.

        Raises:
            CommandNotFound: there is none (yet).
        """
        document = await self._commands.find_one({"_id": command_id})
        if document is None:
            raise CommandNotFound
        return _commands.read(document)

    async def find_all(self, command_ids: Sequence[str]) -> dict[str, OpenCommand]:
        """Those of these commands that there are, by id."""
        if not command_ids:
            return {}
        cursor = self._commands.find({"_id": {"$in": list(command_ids)}})
        return {document["_id"]: _commands.read(document) async for document in cursor}

    async def advance(
        self, command_id: str, state: CommandState, at: datetime, reason: str | None = None
    ) -> OpenCommand | None:
        """Take one step of the state machine, if the command is where that step may be taken.

        Returns:
            The command after the step; None where the step is not (or no longer) allowed.
        """
        before = {"$in": [before.value for before in predecessors(state)]}
        return await self._step({"_id": command_id, "state": before}, state, at, reason)

    async def end_unsent(
        self, command_id: str, state: CommandState, at: datetime, reason: str | None = None
    ) -> OpenCommand | None:
        """End a command that no session ever took in hand, so that none ever will.

        Returns:
            The command after the step; None where a session has it, or it is settled.
        """
        untouched = {"_id": command_id, "state": CommandState.QUEUED.value, "sessionId": None}
        return await self._step(untouched, state, at, reason)

    async def waiting_for(self, lock_id: int, now: datetime) -> list[OpenCommand]:
        """Commands that were asked for while the lock was offline and may still be sent."""
        wanted = {
            "lockId": lock_id,
            "state": CommandState.QUEUED.value,
            "sessionId": None,
            "expiresAt": {"$gt": now},
        }
        cursor = self._commands.find(wanted).sort("requestedAt", 1)
        return [_commands.read(document) async for document in cursor]

    async def unanswered_before(self, instant: datetime, limit: int) -> list[OpenCommand]:
        """Commands without an outcome that expired before ``instant``."""
        wanted = {"state": {"$in": _UNANSWERED}, "expiresAt": {"$lt": instant}}
        cursor = self._commands.find(wanted).limit(limit)
        return [_commands.read(document) async for document in cursor]

    async def list_of_lock(
        self, lock_id: int, org_id: str, limit: int, before: tuple[datetime, str] | None = None
    ) -> list[OpenCommand]:
        """The organisation's newest commands for a lock, newest first.

        ``before`` are the time and the id of the last command that the caller has already.
        """
        wanted: Document = {"lockId": lock_id, "orgId": org_id}
        if before is not None:
            wanted |= older_than("requestedAt", before)
        cursor = self._commands.find(wanted).sort([("requestedAt", -1), ("_id", -1)])
        return [_commands.read(document) async for document in cursor.limit(limit)]

    async def untold(self, limit: int) -> list[OpenCommand]:
        """Commands with steps whose events are not recorded yet."""
        cursor = self._commands.find(UNTOLD).limit(limit)
        return [_commands.read(document) async for document in cursor]

    async def told(self, commands: Sequence[OpenCommand]) -> None:
        """Note that the events of these commands are recorded, as far as they have come here."""
        if commands:
            await self._commands.bulk_write(
                [
                    UpdateOne(
                        {"_id": command.id, "history": {"$size": len(command.history)}},
                        {"$unset": {"untold": ""}},
                    )
                    for command in commands
                ],
                ordered=False,
            )

    async def _step(
        self, where: Document, state: CommandState, at: datetime, reason: str | None
    ) -> OpenCommand | None:
        step = msgspec.to_builtins(Step(state=state, at=at), builtin_types=(datetime,))
        changes: Document = {"state": state.value, **UNTOLD}
        if reason is not None:
            changes["reason"] = reason
        document = await self._commands.find_one_and_update(
            where,
            {"$set": changes, "$push": {"history": step}},
            return_document=ReturnDocument.AFTER,
        )
        return None if document is None else _commands.read(document)


def _document(command: OpenCommand) -> Document:
    return {**_commands.write(command), **UNTOLD}
