"""What the confirmation page tells: one opening of one door, as it stands and as it changes."""

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from server.bus.base import Bus
from server.domain.commands import SHOWN_AS_FINAL, OpenCommand, command_of
from server.domain.errors import CommandNotFound
from server.domain.locks import Lock
from server.domain.organizations import Guest
from server.domain.temp_keys import Door, TempKey
from server.services.outcomes import Outcomes
from server.services.temp_keys import TempKeys

_LOOK_AGAIN_AFTER_S = 2.0
"""News may be lost on its way between nodes, so the record is read this often as well."""


class Confirmation(Struct, frozen=True, kw_only=True):
    """A door of a key, its lock, and the open command in question (None where none is named)."""

    key: TempKey
    door: Door
    lock: Lock | None
    command: OpenCommand | None

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to be told."""
        return self.command is None or self.command.state in SHOWN_AS_FINAL


class Confirmations:
    """Looks an opening up for whoever holds the key's link."""

    def __init__(self, keys: TempKeys, outcomes: Outcomes, bus: Bus) -> None:
        self._keys = keys
        self._outcomes = outcomes
        self._bus = bus
        self._ending = False

    def end_all(self) -> None:
        """End whatever is being followed, within two seconds, and follow nothing new for long."""
        self._ending = True

    async def find(
        self, key_uuid: str, guest: Guest, door_id: int | None, command_id: str | None
    ) -> Confirmation:
        """One opening as it stands; the key's first door where none is named.

        A ``command_id`` that is not of this key counts as none.

        Raises:
            TempKeyNotFound, DoorNotFound: there is no such key or door.
            GuestNotAllowed: it is a personal key of somebody else.
        """
        shown = await self._keys.show_to_guest(key_uuid, guest)
        command = await self._command(shown.key, command_id)
        if door_id is None and command is not None:
            door_id = command.door_id
        door = shown.key.doors[0] if door_id is None else shown.key.door(door_id)
        return Confirmation(
            key=shown.key, door=door, lock=shown.locks.get(door.lock_id), command=command
        )

    async def follow(
        self, key_uuid: str, guest: Guest, door_id: int | None, command_id: str, within_s: float
    ) -> AsyncIterator[Confirmation]:
        """One opening at each of its changes, until it is final or ``within_s`` seconds are over.

        It ends with ``end_all`` as well.

        Raises as ``find`` does.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        with self._bus.watch(command_id) as changes:
            told = await self.find(key_uuid, guest, door_id, command_id)
            yield told
            while not (told.is_final or self._ending) and loop.time() < deadline:
                await changes.wait(_LOOK_AGAIN_AFTER_S)
                found = await self.find(key_uuid, guest, door_id, command_id)
                if found.command != told.command or found.lock != told.lock:
                    told = found
                    yield told

    async def _command(self, key: TempKey, command_id: str | None) -> OpenCommand | None:
        if command_id is None:
            return None
        try:
            command = await self._outcomes.find(command_id)
        except CommandNotFound:
            claims = [claim for claim in key.claims if claim.command_id == command_id]
            return command_of(key, claims[0]) if claims else None
        return command if command.temp_key_uuid == key.uuid else None
