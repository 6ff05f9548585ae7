"""Finding a port for the server without fighting for one."""

import errno
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"

_PORTS_TO_TRY = 100
_LAST_PORT = 65535


class NoPort(Exception):
    """No port can be had; the message says why."""


def free_ports(first: int) -> Iterator[int]:
    """Ports that nobody listens on right now: ``first`` and those after it; any for 0.

    Raises:
        NoPort: this user may not listen there, or all that were tried are taken.
    """
    last = min(first + _PORTS_TO_TRY, _LAST_PORT + 1)
    for port in [0] * _PORTS_TO_TRY if first == 0 else range(first, last):
        free = _bindable(port)
        if free is not None:
            yield free
    raise NoPort(f"Every port from {first} to {last - 1} is taken. Name another with --port.")


def is_free(port: int) -> bool:
    """Whether nobody listens on ``port`` right now."""
    return _bindable(port) is not None


def _bindable(port: int) -> int | None:
    with socket.socket() as probe:
        # As the server does: lingering connections of the last run are no reason to move.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise NoPort(f"You may not listen on port {port}. Name another with --port.") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return None
            raise
        return probe.getsockname()[1]
