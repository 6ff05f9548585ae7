"""What a guest's link leads to."""

from collections.abc import Mapping

from msgspec import Struct

from server.domain.commands import OpenCommand
from server.domain.errors import LockNotFound
from server.domain.locks import Lock
from server.domain.organizations import Organization
from server.domain.temp_keys import Door, TempKey


class Linked(Struct, frozen=True, kw_only=True):
    """A temp key, and the locks of its doors by id, but for those that are gone or given away."""

    key: TempKey
    locks: Mapping[int, Lock]

    def lock_of(self, door: Door) -> Lock:
        """The lock of one of the key's doors.

        Raises:
            LockNotFound: it is gone, or another organisation's by now.
        """
        if door.lock_id not in self.locks:
            raise LockNotFound
        return self.locks[door.lock_id]


class LinkView(Linked, frozen=True, kw_only=True):
    """What a page of the link shows: besides, who issued the key, and the command asked about."""

    organization: Organization
    command: OpenCommand | None
