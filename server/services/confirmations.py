"""What the confirmation page tells: one opening of one door, as it stands and as it changes."""

import asyncio
from collections.abc import AsyncIterator

from msgspec import Struct

from server.bus.base import Bus
from server.domain.commands import SHOWN_AS_FINAL, OpenCommand, command_of
from server.domain.locks import Lock
from server.domain.organizations import Guest, Organization
from server.domain.temp_keys import Door, TempKey, check_guest
from server.storage.link_store import LinkStore

_LOOK_AGAIN_AFTER_S = 2.0
"""News may be lost on its way between nodes, so the record is read this often as well."""


class Confirmation(Struct, frozen=True, kw_only=True):
    """A door of a key, its lock, and the open command in question (None where none is named).

    With who issued the key.
    """

    organization: Organization
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

    def __init__(self, links: LinkStore, bus: Bus) -> None:
        self._links = links
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
            TempKeyNotFound, DoorNotFound, OrganizationNotFound: there is no such key or door, or
                nobody who issued it.
            GuestNotAllowed: it is a personal key of somebody else.
        """
        view = await self._links.view(key_uuid, command_id)
        key = view.key
        check_guest(key, guest)
        command = view.command or _just_claimed(key, command_id)
        if door_id is None and command is not None:
            door_id = command.door_id
        door = key.doors[0] if door_id is None else key.door(door_id)
        return Confirmation(
            organization=view.organization,
            key=key,
            door=door,
            lock=view.locks.get(door.lock_id),
            command=command,
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


def _just_claimed(key: TempKey, command_id: str | None) -> OpenCommand | None:
    """A command that is not recorded yet, as its claim tells of it."""
    claims = [claim for claim in key.claims if claim.command_id == command_id]
    return command_of(key, claims[0]) if claims else None
