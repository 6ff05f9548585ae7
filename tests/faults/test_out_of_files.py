"""No file descriptors left: locks that are connected are served, and the log stays short."""

import asyncio
import resource
from contextlib import AsyncExitStack

import psutil

from tests.faults.processes import Site
from tests.house import command_id_of, until

LEFT = 40
CROWD = 100


async def test_a_server_without_file_descriptors_opens_doors_and_recovers(site: Site) -> None:
    await site.server.start()
    lock = await site.lock_online()
    key = await site.key(lock)
    warm = await site.tap_open(key)  # MongoDB's connections are there by now
    await site.until_state(command_id_of(warm), "opened")
    server = psutil.Process(site.server.pid)
    async with AsyncExitStack() as people:

        async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
            people.callback(_abort, writer)
            return reader, writer

        guest, guest_writer = await connect()
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        limit = server.num_fds() + LEFT
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, hard))
        for _ in range(CROWD):
            await connect()
        await site.server.until_said("out_of_file_descriptors")
        tap = f"POST /temp-keys/{key.uuid}/open HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        guest_writer.write(tap.encode())
        async with asyncio.timeout(10):
            answered = await guest.readuntil(b"\r\n\r\n")

        async def opened() -> bool:
            return len(lock.openings()) == 2

        await until(opened)
    assert answered.startswith(b"HTTP/1.1 303")
    assert await until(lambda: answers(site))
    assert site.server.output.count("out_of_file_descriptors") < 20


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def answers(site: Site) -> bool:
    try:
        return (await site.fetch("/health/live")).status == 200
    except OSError:
        return False
