"""What systemd is told about this process, where it has started it (``sd_notify``).

It listens on the datagram socket that ``NOTIFY_SOCKET`` names; where there is none, nothing is
told. With ``WATCHDOG_USEC`` it wants a sign of life that often, and restarts who gives none.
"""

import asyncio
import os
import socket

import structlog

log = structlog.get_logger(__name__)


def tell(state: str) -> None:
    """Tell one state: ``READY=1``, ``STOPPING=1``, ``WATCHDOG=1``."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract names, as they are written
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        try:
            channel.sendto(state.encode(), address)
        except OSError as error:
            log.warning("service_manager_not_told", state=state, why=str(error))


async def give_signs_of_life() -> None:
    """Give the watchdog its signs twice as often as it asks; return at once where none asks.

    They come from the event loop, so a loop that stands still gives none.
    """
    asked_us = os.environ.get("WATCHDOG_USEC", "")
    if not asked_us.isdecimal() or os.environ.get("WATCHDOG_PID") not in (None, str(os.getpid())):
        return
    while True:
        tell("WATCHDOG=1")
        await asyncio.sleep(int(asked_us) / 1e6 / 2)
