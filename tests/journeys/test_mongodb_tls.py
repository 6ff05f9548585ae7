"""MongoDB over TLS, with a password and an authority of our own, as docs/running.md has it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError
from tornado.ioloop import IOLoop

from server.child_process import dying_with_parent
from server.storage.embedded_mongodb import find_mongod
from tests.faults.processes import Process, free_port
from tests.house import until


class Guarded(NamedTuple):
    """A MongoDB that wants TLS and a password; ``uri`` lacks nothing."""

    uri: str
    uri_without_password: str
    authority: Path


@asynccontextmanager
async def mongod(folder: Path) -> AsyncIterator[Guarded]:
    authority, port = trustme.CA(), free_port()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    (folder / "members.key").write_text("what the members of the set know " * 2)
    (folder / "members.key").chmod(0o600)
    (folder / "db").mkdir()
    options = {
        "port": port,
        "dbpath": folder / "db",
        "bind_ip": "127.0.0.1",
        "replSet": "rs0",
        "tlsMode": "requireTLS",
        "tlsCertificateKeyFile": folder / "server.pem",
        "tlsCAFile": folder / "ca.pem",
        "keyFile": folder / "members.key",
        "logpath": folder / "mongod.log",
        "wiredTigerCacheSizeGB": 0.25,
    }
    words = [f"--{name}={value}" for name, value in options.items()]
    process = await asyncio.create_subprocess_exec(
        *dying_with_parent(
            [
                str(find_mongod()),
                "--nounixsocket",
                "--tlsAllowConnectionsWithoutCertificates",
                *words,
            ]
        ),
        stdout=asyncio.subprocess.DEVNULL,
    )
    tls = f"tls=true&tlsCAFile={folder / 'ca.pem'}"
    without = f"mongodb://127.0.0.1:{port}/?replicaSet=rs0&{tls}"
    try:
        await make_user(f"mongodb://127.0.0.1:{port}/?directConnection=true&{tls}", port)
        uri = without.replace("//", "//latchkey:p%40ssword@") + "&authSource=admin"
        yield Guarded(uri, without, folder / "ca.pem")
    finally:
        process.terminate()
        await process.wait()


async def make_user(uri: str, port: int) -> None:
    """Make a set of one, and the user that the server logs in as: nothing but its database."""
    member = {"_id": 0, "host": f"127.0.0.1:{port}"}
    await until(lambda: done(uri, {"replSetInitiate": {"_id": "rs0", "members": [member]}}))
    # The first user, as whom the others are made.
    first = {"createUser": "admin", "pwd": "first", "roles": ["root"]}
    await until(lambda: done(uri, first))
    roles = [{"role": "readWrite", "db": "latchkey"}]
    create = {"createUser": "latchkey", "pwd": "p@ssword", "roles": roles}
    assert await done(uri.replace("//", "//admin:first@"), create)


async def done(uri: str, command: dict[str, Any]) -> bool:
    """Give a command; whether it was carried out."""
    async with AsyncMongoClient(uri, serverSelectionTimeoutMS=2000) as client:
        try:
            await client.admin.command(command)
        except PyMongoError:
            return False
        return True


@pytest.fixture
def guarded(io_loop: IOLoop, tmp_path: Path) -> Iterator[Guarded]:
    running = mongod(tmp_path)
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


async def listing(uri: str, log: Path) -> Process:
    """``org list`` with that MongoDB, run to its end."""
    process = Process(log)
    variables = {"LATCHKEY_MONGODB_URI": uri, "LATCHKEY_MONGODB_DATABASE": "latchkey"}
    await process.spawn(["-m", "server", "org", "list"], variables)
    await process.exit_status()
    return process


async def test_the_server_reaches_a_mongodb_that_wants_tls_and_a_password(
    guarded: Guarded, tmp_path: Path
):
    stranger = tmp_path / "stranger.pem"
    trustme.CA().cert_pem.write_to_path(stranger)
    good, *refused = await asyncio.gather(
        listing(guarded.uri, tmp_path / "good.log"),
        listing(guarded.uri.replace("p%40ssword", "wrong"), tmp_path / "wrong.log"),
        listing(guarded.uri_without_password, tmp_path / "without.log"),
        listing(guarded.uri.replace(str(guarded.authority), str(stranger)), tmp_path / "ca.log"),
    )
    assert await good.exit_status() == 0, good.output
    why = ("Authentication failed", "requires authentication", "certificate verify failed")
    for process, said in zip(refused, why, strict=True):
        assert await process.exit_status() == 1
        assert "The database does not answer" in process.output
        assert said in process.output
        assert "Traceback" not in process.output
        assert "p@ssword" not in process.output
