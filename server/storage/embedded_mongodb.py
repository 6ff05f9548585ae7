"""A MongoDB of our own, started beside the server and stopped with it.

It is for the demo, the tests and a trial on one machine; production names a
MongoDB in ``LATCHKEY_MONGODB_URI``. It listens on loopback without a password,
so everybody who may log in to this machine can read it.

The data folder holds ``db/`` (MongoDB's files), ``mongod.log``, ``port`` (the
one used last) and ``lock`` (held while anybody uses the folder).
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from server.storage.data_folder import OR_ELSE, MongodbUnavailable, folder_errors, hold
from server.storage.mongod_process import (
    REPLICA_SET,
    Mongod,
    PortTaken,
    find_mongod,
    free_ports,
    keep_log_small,
    last_lines,
    running,
    why_it_ended,
)

START_LIMIT_S = 60.0
"""A start takes a second; recovery after a crash on a slow disk takes longer."""

_POLL_S = 0.02
_NOT_INITIALIZED = 94  # MongoDB's error code


@asynccontextmanager
async def embedded_mongodb(
    data_dir: Path, *, binary: Path | None = None, start_limit_s: float = START_LIMIT_S
) -> AsyncIterator[str]:
    """Run mongod on ``data_dir`` as a one-node replica set, and give its URI (no database in it).

    The folder is MongoDB's alone; where it is missing it is made, for this user
    only. The port is the one used last, or another where that is taken. On
    leaving, also by cancellation, mongod is stopped before this returns. On
    Linux it also ends with the *thread* that entered here, however that ends:
    enter from one that lives as long as the database should.

    ``binary`` is the mongod to run instead of the one that ``find_mongod`` finds.

    Raises:
        MongodbUnavailable: it did not start; nothing is left running.
    """
    binary = binary or find_mongod()
    if not os.access(binary, os.X_OK):
        raise MongodbUnavailable(f"{binary} is not a program. Name a mongod there, {OR_ELSE}")
    async with hold(data_dir) as lock:
        for port in free_ports(data_dir):
            async with running(binary, data_dir, port, lock) as mongod:
                try:
                    await _until_primary(mongod, start_limit_s)
                except PortTaken:
                    continue
                with folder_errors(data_dir):
                    (data_dir / "port").write_text(str(port))
                keeper = asyncio.create_task(keep_log_small(data_dir))
                try:
                    yield _uri(port)
                finally:
                    keeper.cancel()
                return
    raise MongodbUnavailable(f"No port on 127.0.0.1 stayed free for MongoDB. Try again, {OR_ELSE}")


def uri_of_running_mongodb(data_dir: Path) -> str:
    """The URI of the mongod that another process runs on ``data_dir``.

    Raises:
        MongodbUnavailable: nobody has run one there.
    """
    with folder_errors(data_dir):
        return _uri(int((data_dir / "port").read_text()))


def _uri(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?replicaSet={REPLICA_SET}&directConnection=true"


async def _until_primary(mongod: Mongod, limit_s: float) -> None:
    """Return once ``mongod`` takes writes.

    Raises:
        PortTaken: it could not listen on its port, or another server answers there.
        MongodbUnavailable: it ended, or took longer than ``limit_s``.
    """
    exited = asyncio.ensure_future(mongod.process.wait())
    ready = asyncio.ensure_future(_make_primary(mongod))
    try:
        await asyncio.wait({exited, ready}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ready.result()
        elif exited.done():
            raise why_it_ended(mongod)
        else:
            raise MongodbUnavailable(
                f"MongoDB was not ready within {limit_s:g} s. Try again, {OR_ELSE}"
                + last_lines(mongod)
            )
    finally:
        exited.cancel()
        ready.cancel()
        await asyncio.gather(exited, ready, return_exceptions=True)


async def _make_primary(mongod: Mongod) -> None:
    while not await _listens(mongod.port):
        await asyncio.sleep(_POLL_S)
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        "127.0.0.1", mongod.port, directConnection=True
    )
    try:  # not ``async with``, which opens it first, and leaves it open if cancelled there
        while not await _is_primary(client, mongod):
            await asyncio.sleep(_POLL_S)
    finally:
        await client.close()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _is_primary(client: AsyncMongoClient[dict[str, Any]], mongod: Mongod) -> bool:
    """Whether ``mongod`` is primary; sees to it that it will be.

    Its stored configuration may name the port of an earlier run, and a node that
    does not find itself in its configuration waits for ever. (It looks there for
    itself first, which takes 30 s where a stranger listens and says nothing.)
    """
    here = f"127.0.0.1:{mongod.port}"
    admin = client.admin
    try:
        if (await admin.command("serverStatus"))["pid"] != mongod.process.pid:
            raise PortTaken
        if (await admin.command("hello"))["isWritablePrimary"]:
            return True
        config = (await admin.command("replSetGetConfig"))["config"]
        if config["members"][0]["host"] != here:
            config["members"][0]["host"] = here
            config["version"] += 1
            await admin.command("replSetReconfig", config, force=True)
    except OperationFailure as error:
        if error.code == _NOT_INITIALIZED:
            first = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": here}]}
            with suppress(PyMongoError):  # it may only just read its configuration
                await admin.command("replSetInitiate", first)
    except PyMongoError:
        pass  # not serving yet; the caller's limit bounds this
    return False
