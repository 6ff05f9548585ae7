"""What the services tell monitoring, as it happens."""

from typing import Protocol

from server.domain.commands import OpenCommand
from server.domain.locks import OfflineReason
from server.domain.webhooks import DeliveryState


class Metrics(Protocol):
    """Each method notes one fact at once: none waits, and none fails.

    What they become, and what is read at the moment it is asked for, is in ``server.metrics``.
    """

    def request_answered(self, status: int) -> None:
        """A request over HTTP was answered."""
        ...

    def connect_refused(self, why: str) -> None:
        """A lock was told to connect later: the node is ``draining``, ``full``, or it is too
        many at once (``pace``)."""
        ...

    def went_offline(self, reason: OfflineReason, locks: int = 1) -> None:
        """It was written down that locks are offline."""
        ...

    def silence_noticed(self, after_s: float, bound_s: float) -> None:
        """A lock was cut after so many seconds of silence; ``bound_s`` were promised."""
        ...

    def protocol_broken(self, code: str) -> None:
        """A lock's connection was closed because of what it sent."""
        ...

    def use_claimed(self, took_s: float) -> None:
        """A use of a temp key was taken."""
        ...

    def command_stepped(self, command: OpenCommand) -> None:
        """An open command has come to the state it is in."""
        ...

    def reports_received(self, count: int) -> None:
        """Reports of locks came in, to be stored."""
        ...

    def reports_stored(self, new: int, known: int, waited_s: float) -> None:
        """Reports are durable; some were already. The first has waited so long for that."""
        ...

    def delivery_tried(self, state: DeliveryState) -> None:
        """An event was sent to a webhook's receiver, and is now in that state."""
        ...

    def loop_was_late(self, by_s: float) -> None:
        """The event loop ran a timer so much later than it was due."""
        ...
