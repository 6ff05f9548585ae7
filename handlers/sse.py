"""Server-sent events (the HTML standard, section 9.2): messages, and a stream of them."""

import asyncio
from collections.abc import Awaitable, Callable

import tornado.iostream

from handlers.base import BaseHandler
from server.domain.errors import StorageUnavailable, Unauthenticated
from server.domain.organizations import Operator
from server.services.fleet_feed import Encoding, Follower
from server.services.jwks import IssuerUnavailable

STILL_HERE = b": still here\n\n"
SILENCE_S = 15.0
"""After so long without news a comment is sent: proxies cut what is silent."""

_READ_WITHIN_S = 20.0
"""Who does not read what was written for so long is cut off."""

StillGood = Callable[[], Awaitable[Operator]]


def message(name: str, data: bytes, event_id: int | None = None) -> bytes:
    """One message; ``data`` may have several lines."""
    lines = [b"event: " + name.encode()]
    if event_id is not None:
        lines.append(b"id: %d" % event_id)
    lines += [b"data: " + line for line in data.splitlines()]
    return b"\n".join(lines) + b"\n\n"


class FleetStreamHandler(BaseHandler):
    """Writes what the fleet feed tells, for as long as the connection and the credential last."""

    _follower: Follower | None = None

    async def stream(self, encoding: Encoding, after: int | None, still_good: StillGood) -> None:
        """Follow the fleet of ``self.operator``; ``still_good`` asks the credential again.

        Raises:
            StorageUnavailable, TooManyFollowers: it cannot begin.
        """
        feed = self.services.fleet_feed
        loop = asyncio.get_running_loop()
        async with feed.following(self.operator.scope, encoding, after) as self._follower:
            self.set_header("Content-Type", "text/event-stream; charset=utf-8")
            self.set_header("X-Accel-Buffering", "no")
            asked_at = loop.time()
            while not self._follower.ended:
                told = await self._follower.read(SILENCE_S)
                if not await self._is_written(told or STILL_HERE):
                    return
                if self.request.method == "HEAD":
                    return
                if loop.time() - asked_at > SILENCE_S:
                    if not await _is_still_good(still_good):
                        return
                    asked_at = loop.time()

    def on_connection_close(self) -> None:
        if self._follower is not None:
            self._follower.end()

    async def _is_written(self, told: bytes) -> bool:
        """Write; whether it was read (as far as the network can tell)."""
        self.write(told)
        try:
            async with asyncio.timeout(_READ_WITHIN_S):
                await self.flush()
        except tornado.iostream.StreamClosedError:
            return False
        except TimeoutError:
            self.request.connection.stream.close()  # type: ignore[union-attr]  # HTTP/1 has one
            return False
        return True


async def _is_still_good(still_good: StillGood) -> bool:
    try:
        await still_good()
    except (StorageUnavailable, IssuerUnavailable):
        return True  # nobody says otherwise
    except Unauthenticated:
        return False
    return True
