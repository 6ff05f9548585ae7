"""Posts to receivers that strangers have named: to public addresses only, within a bounded time.

A name is resolved once, its addresses are judged, and the connection goes to one of those:
a name that means something else a moment later leads nowhere else. Nothing is followed,
no proxy of the environment is used, and of an answer only its beginning is read.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.netutil import Resolver
from tornado.simple_httpclient import HTTPTimeoutError, SimpleAsyncHTTPClient

from server import __version__
from server.domain.errors import InvalidInput
from server.domain.public_addresses import is_loopback, is_public
from server.domain.webhooks import Reply, check_url

Address = tuple[int, tuple[Any, ...]]
"""An address family, and the address as sockets take it."""
Lookup = Callable[..., list[tuple[Any, ...]]]

_MOST_HEADER_BYTES = 16 * 1024
_MOST_BODY_BYTES = 64 * 1024
_ANSWER_SHOWN = 200
_LOOKUPS_AT_ONCE = 32
_SHORTEST_S = 0.01


class AddressRefused(Exception):
    """A name leads to where nothing is sent."""


class WebhookClient:
    """Posts to receivers; ``loopback_allowed`` is for receivers on a developer's own machine."""

    def __init__(
        self,
        timeout_s: float,
        *,
        loopback_allowed: bool = False,
        lookup: Lookup = socket.getaddrinfo,
    ) -> None:
        self._timeout_s = timeout_s
        self._loopback_allowed = loopback_allowed
        self._lookup = lookup
        # Threads of its own: names that are slow to resolve hold up nothing else.
        self._threads = ThreadPoolExecutor(_LOOKUPS_AT_ONCE, "webhook-names")
        self._tls = ssl.create_default_context()

    def close(self) -> None:
        """Look no more names up."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def check(self, url: str) -> None:
        """Refuse a URL that nothing would be sent to.

        Raises:
            InvalidInput: it is none, or its host has no address that may be reached.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._addresses(url)
        except (OSError, AddressRefused) as error:
            raise InvalidInput("url", _in_words(error)) from error

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post once; what the receiver does is in the reply, whatever it is.

        A status counts however the rest of the answer fares.
        """
        status: list[int] = []
        try:
            answer = await self._fetch(url, headers, body, partial(_note_status, status))
        except Exception as error:  # a stranger's server may bring about anything
            if status:
                return Reply(status=status[-1])
            return Reply(error=_in_words(error))
        return Reply(status=status[-1], answer=_shown(answer))

    async def _fetch(
        self, url: str, headers: Mapping[str, str], body: bytes, on_header: Callable[[str], None]
    ) -> bytes:
        deadline = time.monotonic() + self._timeout_s
        async with asyncio.timeout(self._timeout_s):
            addresses = await self._addresses(url)
        left_s = max(deadline - time.monotonic(), _SHORTEST_S)
        client = SimpleAsyncHTTPClient(
            force_instance=True,
            resolver=_Resolved(addresses),
            max_header_size=_MOST_HEADER_BYTES,
            max_body_size=_MOST_BODY_BYTES,
        )
        request = HTTPRequest(
            url,
            method="POST",
            headers=dict(headers),
            body=body,
            user_agent=f"Latchkey/{__version__}",
            connect_timeout=left_s,
            request_timeout=left_s,
            follow_redirects=False,
            decompress_response=False,
            header_callback=on_header,
            ssl_options=self._tls,
        )
        try:
            # Shielded, for Tornado complains of a request that was cancelled and then fails.
            return (await asyncio.shield(client.fetch(request, raise_error=False))).body
        finally:
            client.close()

    async def _addresses(self, url: str) -> list[Address]:
        """Where a URL leads, if all of that may be reached."""
        parts = check_url(url, loopback_allowed=self._loopback_allowed)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        look_up = partial(self._lookup, parts.hostname, port, type=socket.SOCK_STREAM)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, look_up)
        addresses = [(family, address) for family, _, _, _, address in found]
        for _, address in addresses:
            # Plain http is for this very machine and nothing else.
            may_be_public = parts.scheme == "https" and is_public(address[0])
            if not may_be_public and not (self._loopback_allowed and is_loopback(address[0])):
                raise AddressRefused
        return addresses


class _Resolved(Resolver):
    """Answers with the addresses that were judged, whatever the name means by now."""

    def initialize(self, addresses: list[Address]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[Address]:
        return self._addresses


def _note_status(status: list[int], line: str) -> None:
    # Called with each line of the header. What comes before a final answer is noted as well.
    if found := re.match(r"HTTP/1\.[01] ([0-9]{3})\b", line):
        status.append(int(found[1]))


def _shown(answer: bytes) -> str | None:
    """How an answer begins, as it may be shown to whoever owns the webhook."""
    text = answer[: 4 * _ANSWER_SHOWN].decode(errors="replace")
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.split())[:_ANSWER_SHOWN] or None


def _in_words(error: Exception) -> str:
    """What went wrong, without any part of the URL."""
    match error:
        case InvalidInput():
            return str(error)
        case AddressRefused():
            return "its host is not at a public address"
        case HTTPTimeoutError() | TimeoutError():
            return "no answer in time"
        case socket.gaierror():
            return "its host has no address"
        case ssl.SSLCertVerificationError():
            return f"its certificate is not good: {error.verify_message}"
        case ssl.SSLError():
            return "no TLS connection"
        case ConnectionRefusedError():
            return "connection refused"
        case _:
            return "the connection broke"
