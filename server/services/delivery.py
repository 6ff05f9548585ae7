"""Taking a command to its lock at once, or not at all."""

from msgspec import structs

from server.bus.base import Bus
from server.domain.commands import OpenCommand
from server.domain.errors import LockOffline
from server.services.outcomes import Outcomes


async def deliver_now_or_never(command: OpenCommand, bus: Bus, outcomes: Outcomes) -> None:
    """Have the lock open; where it is offline, nothing is sent to it when it comes back.

    The command is then refused as ``lock_offline``, and a use that it took given back.

    Raises:
        StorageUnavailable: MongoDB is away.
    """
    try:
        await bus.request_open(command)
    except LockOffline as error:
        await outcomes.withdraw(structs.replace(command, offline=True), error.reason)
