"""The NATS client, corrected where it does not do what it should (nats-py 2.16).

Each correction has a test in ``tests/server/bus``; a new version of the client may need none.
"""

import asyncio
from typing import Any

import nats.errors
from nats.aio.client import Client

_PING = b"PING\r\n"


class NotEncrypted(nats.errors.Error):
    """The server takes no TLS, which the URL asks for."""


class NatsClient(Client):
    """The client of NATS's makers; it is made for one connection, and not to reconnect."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # ``tls://`` would mean TLS only where the server asks for it. This is the last
        # moment before credentials are sent.
        server = self._current_server
        if server is not None and server.uri.scheme == "tls" and not info.get("tls_required"):
            raise NotEncrypted
        await super()._process_info(info, initial_connection)

    async def _send_ping(self, future: "asyncio.Future[bool] | None" = None) -> None:
        # A ping would overtake what waits to be written, so that its answer proved nothing.
        self._pongs.append(future or asyncio.get_running_loop().create_future())
        await self._send_command(_PING)
        await self._flush_pending()

    async def _process_pong(self) -> None:
        # The answer to a ping that was given up would fail, and end all reading.
        if self._pongs and self._pongs[0].done():
            self._pongs.pop(0)
        else:
            await super()._process_pong()
