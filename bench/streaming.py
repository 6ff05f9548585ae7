"""What a hundred dashboards that stream cost the server, at fifty changes a second.

Starts a MongoDB and a server, changes a fleet of 200 locks fifty times a second (every fifth
change is of presence, and so makes an event; the others are readings), and compares the
server's CPU time without a stream, with ``FOLLOWERS`` streams of the API, and with as many of
the dashboard, for ``SECONDS`` each:

    python -m bench.streaming [FOLLOWERS] [SECONDS]
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import psutil
from tornado.httpclient import AsyncHTTPClient

from demo.ports import free_ports
from server import clock
from server.app import open_administration
from server.domain.secrets import new_id
from server.services.provisioning import NewLock
from server.settings import Settings
from server.storage import mongo
from server.storage.embedded_mongodb import embedded_mongodb

FOLLOWERS = 100
SECONDS = 20.0
LOCKS = 200
CHANGES_A_SECOND = 50
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def main(followers: int, seconds: float) -> None:
    settings = Settings()
    with tempfile.TemporaryDirectory() as folder:
        async with embedded_mongodb(Path(folder)) as uri:
            async with open_administration(settings, uri) as services:
                organization = await services.provisioning.create_organization("Benchmark")
                api_key = await services.provisioning.issue_api_key(organization.id)
                for number in range(LOCKS):
                    wanted = NewLock(name=f"Door {number}")
                    await services.provisioning.create_lock(organization.id, wanted)
            client = mongo.connect(uri, timeout_s=10)
            database = client[settings.mongodb_database]
            port = next(free_ports(9200))
            async with _server(uri, port) as server:
                cookie = await _sign_in(port, api_key)
                changing = asyncio.create_task(_change_forever(database))
                await asyncio.sleep(5)
                without = await _measure(server, seconds)
                print(f"no stream:                       {without:6.2%} of a core")
                ways = {
                    "GET /stream": ("/stream", {"X-API-Key": api_key}),
                    "GET /dashboard/stream": ("/dashboard/stream", {"Cookie": cookie}),
                }
                for name, (path, headers) in ways.items():
                    async with _followers(port, path, headers, followers) as heard:
                        await asyncio.sleep(3)
                        heard.clear()
                        used = await _measure(server, seconds)
                        bytes_a_second = sum(heard) / seconds / followers
                    print(
                        f"{followers} of {name:22}  {used:6.2%} of a core, "
                        f"{used - without:+.2%} for the streams, {bytes_a_second:,.0f} B/s each"
                    )
                changing.cancel()
                await asyncio.gather(changing, return_exceptions=True)
            client.close()


@asynccontextmanager
async def _server(uri: str, port: int) -> AsyncIterator[psutil.Process]:
    environment = {
        **os.environ,
        "LATCHKEY_MONGODB_URI": uri,
        "LATCHKEY_PORT": str(port),
        "LATCHKEY_LOG_FORMAT": "json",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "server", "serve", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        http = AsyncHTTPClient()
        for _ in range(100):
            try:
                await http.fetch(f"http://127.0.0.1:{port}/health/ready")
                break
            except Exception:
                await asyncio.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await process.wait()


async def _sign_in(port: int, api_key: str) -> str:
    answer = await AsyncHTTPClient().fetch(
        f"http://127.0.0.1:{port}/dashboard/sign-in",
        method="POST",
        headers=FORM,
        body=urlencode({"credential": api_key}),
        follow_redirects=False,
        raise_error=False,
    )
    return answer.headers["Set-Cookie"].split(";")[0]


async def _change_forever(database: mongo.Database) -> None:
    number, began = 0, time.monotonic()
    while True:
        lock_id, now = number % LOCKS + 1, clock.now()
        await database["locks"].update_one({"_id": lock_id}, _change(number, now))
        number += 1
        await asyncio.sleep(max(0.0, began + number / CHANGES_A_SECOND - time.monotonic()))


def _change(number: int, now: datetime) -> mongo.Document:
    if number % 5:
        reading = {"seq": number, "epoch": "e", "at": now, "receivedAt": now, "battery": 50.0}
        return {"$set": {f"telemetry.{name}": value for name, value in reading.items()}}
    # Offline, so that no node has to hold it.
    presence = {"online": False, "since": now, "offlineReason": "timeout"}
    change = {"id": new_id(), "online": False, "at": now, "reason": "timeout"}
    return {
        "$set": {f"connection.{name}": value for name, value in presence.items()},
        "$push": {"presenceChanges": change},
    }


@asynccontextmanager
async def _followers(
    port: int, path: str, headers: dict[str, str], count: int
) -> AsyncIterator[list[int]]:
    """So many streams; how many bytes they have read is added to what is yielded."""
    heard: list[int] = []
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def follow() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n".encode())
        while chunk := await reader.read(2**16):
            heard.append(len(chunk))

    following = [asyncio.create_task(follow()) for _ in range(count)]
    try:
        yield heard
    finally:
        for one in following:
            one.cancel()
        await asyncio.gather(*following, return_exceptions=True)


async def _measure(process: psutil.Process, seconds: float) -> float:
    """How much of one core a process uses."""
    before, began = process.cpu_times(), time.monotonic()
    await asyncio.sleep(seconds)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / timedelta(seconds=time.monotonic() - began).total_seconds()


if __name__ == "__main__":
    asyncio.run(
        main(
            int(sys.argv[1]) if len(sys.argv) > 1 else FOLLOWERS,
            float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS,
        )
    )
