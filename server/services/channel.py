"""What a session needs of the socket it lives on."""

from typing import Protocol


class Channel(Protocol):
    """One open connection to a lock. None of these waits."""

    def send(self, text: str) -> None:
        """Write one text frame.

        Raises:
            ChannelClosed: nothing was written, because the connection is gone, or
                because its lock does not read and it was cut for that.
        """
        ...

    def ping(self) -> None:
        """Write a ping; a connection that is gone is passed over in silence."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and close."""
        ...

    def drop(self) -> None:
        """Close at once, without a goodbye that nobody would hear."""
        ...
