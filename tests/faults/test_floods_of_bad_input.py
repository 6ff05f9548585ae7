"""A server that is flooded with bad input: it refuses all of it, and keeps none of it."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterator
from urllib.parse import urlsplit

import msgspec
import psutil

from tests.faults.processes import Site

BODY = 250_000
"""As long as a body may nearly be."""
TOO_LONG = 10 * 2**20
PIECE = 2**16

OF_EACH_KIND = 12
AT_ONCE = 8
FLOODS = 3
MAY_GROW = 8 * 2**20
"""How much larger the floods after the first may make the server: each carries some 24 MB in
bodies that are read, and 120 MB in those that are not, of which a leak would keep a part."""

BODIES: list[Callable[[], bytes]] = [
    lambda: msgspec.json.encode({"description": "x" * BODY}),  # too long a text
    lambda: msgspec.json.encode({f"{secrets.token_hex(4)}{n}": n for n in range(BODY // 20)}),
    lambda: b'{"a":1' + b',"a":1' * (BODY // 6) + b"}",  # a field that is there twice
    lambda: b"[" * BODY,
    lambda: b'{"a":' * (BODY // 5),
    lambda: b'{"description":"' + b"\\u0000" * (BODY // 6) + b'"}',
    lambda: msgspec.json.encode({"doors": [{"lockId": {"$ne": "x" * BODY}}]}),
    lambda: secrets.token_bytes(BODY),
]


async def test_a_server_keeps_nothing_of_bad_input(site: Site) -> None:
    await site.server.start()
    first = await flood(site)
    later = [await flood(site) for _ in range(FLOODS)]
    assert max(later) - first < MAY_GROW, (first, later)
    assert (await site.manage("GET", "/temp-keys")).json() == {"tempKeys": []}


async def flood(site: Site) -> int:
    """Ask for one bad thing after another, some at once; the largest that the server was."""
    todo = asks(site)
    process = psutil.Process(site.server.pid)
    largest = 0

    async def work() -> None:
        nonlocal largest
        for asked, expected in todo:
            assert await asked in expected
            largest = max(largest, process.memory_info().rss)

    async with asyncio.TaskGroup() as workers:
        for _ in range(AT_ONCE):
            workers.create_task(work())
    return largest


def asks(site: Site) -> Iterator[tuple[Coroutine[None, None, int], set[int]]]:
    """Everything that is asked in a flood, with the statuses that may answer it."""
    for _ in range(OF_EACH_KIND):
        for body in BODIES:
            yield posted(site, body()), {400}
        yield guessed_link(site), {404, 429}
        yield ten_megabytes(site, announced=True), {413}
        yield ten_megabytes(site, announced=False), {413}


async def posted(site: Site, body: bytes) -> int:
    """Ask for a key with this body."""
    return (await site.fetch("/temp-keys", "POST", body, X_API_Key=site.api_key)).status


async def guessed_link(site: Site) -> int:
    """Try a link that leads nowhere, with as long a query as a header may be."""
    return (await site.fetch(f"/temp-keys/{secrets.token_hex(16)}?door={'1' * 30_000}")).status


async def ten_megabytes(site: Site, *, announced: bool) -> int:
    """Send a body that is far too large; where it is announced, the server does not wait for it."""
    address = urlsplit(site.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    length = f"Content-Length: {TOO_LONG}" if announced else "Transfer-Encoding: chunked"
    head = ["POST /temp-keys HTTP/1.1", "Host: x", f"X-API-Key: {site.api_key}", length, "", ""]
    writer.write("\r\n".join(head).encode())
    if not announced:
        for _ in range(TOO_LONG // PIECE):
            writer.write(b"%x\r\n%b\r\n" % (PIECE, b"x" * PIECE))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status
