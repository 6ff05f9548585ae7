"""A MongoDB of our own with three members, for tests in which one of them fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from server.storage.data_folder import MongodbUnavailable, hold
from server.storage.mongod_process import REPLICA_SET, Mongod, find_mongod, free_ports, running

MEMBERS = 3
START_LIMIT_S = 60.0
_POLL_S = 0.05

_SETTINGS = {
    "electionTimeoutMillis": 2000,
    "heartbeatIntervalMillis": 500,
    "heartbeatTimeoutSecs": 2,
}
"""A fifth of MongoDB's own times, so that tests need not wait for ten seconds each."""


class EmbeddedReplicaSet:
    """Three mongod that run, one of which takes writes."""

    def __init__(self, members: list[Mongod]) -> None:
        self._members = members
        hosts = ",".join(_host(member) for member in members)
        self.uri = f"mongodb://{hosts}/?replicaSet={REPLICA_SET}"

    @property
    def pids(self) -> list[int]:
        """The processes of all members."""
        return [member.process.pid for member in self._members]

    async def primary_pid(self) -> int:
        """The process that takes writes, as soon as there is one."""
        while True:
            for member in self._members:
                if member.process.returncode is None and await _is_primary(member):
                    return member.process.pid
            await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def embedded_replica_set(folder: Path) -> AsyncIterator[EmbeddedReplicaSet]:
    """Run three mongod in ``folder``, and kill those that still run on leaving.

    Raises:
        MongodbUnavailable: they did not start; nothing is left running.
    """
    binary = find_mongod()
    async with AsyncExitStack() as stack:
        members: list[Mongod] = []
        for number in range(MEMBERS):
            data_dir = folder / str(number)
            lock = await stack.enter_async_context(hold(data_dir))
            port = next(free_ports(data_dir))
            member = running(binary, data_dir, port, lock)
            members.append(await stack.enter_async_context(member))
        replica_set = EmbeddedReplicaSet(members)
        try:
            async with asyncio.timeout(START_LIMIT_S):
                await _initiate(members)
                await replica_set.primary_pid()
        except TimeoutError as error:
            raise MongodbUnavailable(f"See the logs in {folder}") from error
        try:
            yield replica_set
        finally:
            for member in members:  # to be asked, they would wait for each other
                if member.process.returncode is None:
                    member.process.kill()


async def _initiate(members: list[Mongod]) -> None:
    hosts = [{"_id": number, "host": _host(member)} for number, member in enumerate(members)]
    wanted = {"_id": REPLICA_SET, "members": hosts, "settings": _SETTINGS}
    async with _client(members[0]) as client:
        while True:
            try:
                await client.admin.command("replSetInitiate", wanted)
            except PyMongoError:  # not all of them listen yet
                await asyncio.sleep(_POLL_S)
            else:
                return


async def _is_primary(member: Mongod) -> bool:
    async with _client(member) as client:
        try:
            return bool((await client.admin.command("hello"))["isWritablePrimary"])
        except PyMongoError:
            return False


def _client(member: Mongod) -> AsyncMongoClient[dict[str, Any]]:
    return AsyncMongoClient(
        "127.0.0.1", member.port, directConnection=True, serverSelectionTimeoutMS=500
    )


def _host(member: Mongod) -> str:
    return f"127.0.0.1:{member.port}"
