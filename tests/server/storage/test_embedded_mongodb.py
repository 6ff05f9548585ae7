"""A real mongod, started, stopped, killed and refused."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from pymongo import MongoClient

from server.storage import data_folder, mongod_process
from server.storage import embedded_mongodb as embedding
from server.storage.data_folder import MongodbUnavailable
from server.storage.embedded_mongodb import embedded_mongodb

ROOT = Path(__file__).parents[3]


def ask(uri: str, command: str) -> dict[str, Any]:
    with MongoClient[dict[str, Any]](uri) as client:
        return client.admin.command(command)


def pid_behind(uri: str) -> int:
    return ask(uri, "serverStatus")["pid"]


def port_of(uri: str) -> int:
    with MongoClient[dict[str, Any]](uri) as client:
        client.admin.command("ping")
        assert client.address is not None
        return client.address[1]


def store_one(uri: str) -> int:
    """Store a document in a transaction, and return how many there are now."""
    with MongoClient[dict[str, Any]](uri) as client, client.start_session() as session:
        notes = client.trial.notes
        with session.start_transaction():
            notes.insert_one({}, session=session)
        return notes.count_documents({})


async def run_once(data_dir: Path) -> tuple[int, int]:
    """Start, store one document, stop; the port and how many documents there were."""
    async with embedded_mongodb(data_dir) as uri:
        return port_of(uri), store_one(uri)


async def fail_to_start(data_dir: Path, **options: Any) -> str:
    with pytest.raises(MongodbUnavailable) as failure:
        async with embedded_mongodb(data_dir, **options):
            pass
    return str(failure.value)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_it_is_a_primary_that_only_this_user_may_touch_and_is_gone_afterwards(data_dir: Path):
    async def scenario() -> int:
        async with embedded_mongodb(data_dir) as uri:
            assert ask(uri, "hello")["isWritablePrimary"]
            assert ask(uri, "hello")["setName"] == "latchkey"
            assert ask(uri, "getCmdLineOpts")["parsed"]["net"]["bindIp"] == "127.0.0.1"
            return pid_behind(uri)

    pid = asyncio.run(scenario())
    assert not psutil.pid_exists(pid)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_a_second_run_finds_the_data_on_the_same_port(data_dir: Path):
    first_port, count = asyncio.run(run_once(data_dir))
    assert count == 1
    assert asyncio.run(run_once(data_dir)) == (first_port, 2)


def test_a_second_run_moves_to_another_port_when_its_own_is_taken(data_dir: Path):
    first_port, _ = asyncio.run(run_once(data_dir))

    async def scenario() -> tuple[int, int]:
        def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", first_port):
            return await run_once(data_dir)

    port, count = asyncio.run(scenario())
    assert port != first_port
    assert count == 2


def test_a_lost_race_for_the_port_never_ends_at_somebody_elses_mongod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def scenario() -> None:
        async with embedded_mongodb(tmp_path / "theirs") as theirs:
            spare_ports = mongod_process.free_ports(tmp_path / "ours")
            ports = iter([port_of(theirs), next(spare_ports)])
            monkeypatch.setattr(embedding, "free_ports", lambda _: ports)
            async with embedded_mongodb(tmp_path / "ours") as ours:
                assert pid_behind(ours) != pid_behind(theirs)
                assert store_one(ours) == 1

    asyncio.run(scenario())


def test_cancellation_stops_it(data_dir: Path):
    async def scenario() -> int:
        started = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            async with embedded_mongodb(data_dir) as uri:
                started.set_result(pid_behind(uri))
                await asyncio.sleep(60)

        server = asyncio.create_task(serve())
        pid = await started
        server.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server
        return pid

    assert not psutil.pid_exists(asyncio.run(scenario()))


def test_cancellation_in_the_middle_of_the_start_leaves_nothing(data_dir: Path):
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), embedded_mongodb(data_dir):
                pytest.fail("this start was too quick to be cut")

    before = psutil.Process().children()
    asyncio.run(scenario())
    assert psutil.Process().children() == before


def test_a_mongod_that_does_not_stop_is_killed(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mongod_process, "STOP_LIMIT_S", 0.2)

    async def scenario() -> int:
        async with embedded_mongodb(data_dir) as uri:
            pid = pid_behind(uri)
            os.kill(pid, signal.SIGSTOP)
            return pid

    assert not psutil.pid_exists(asyncio.run(scenario()))


SERVE = """
import asyncio, sys
from pathlib import Path
from server.storage.embedded_mongodb import embedded_mongodb

async def serve():
    async with embedded_mongodb(Path(sys.argv[1])) as uri:
        print(uri, flush=True)
        await asyncio.sleep(60)

asyncio.run(serve())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_dies_with_a_killed_parent_and_the_next_start_recovers(data_dir: Path):
    command = [sys.executable, "-c", SERVE, str(data_dir)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        uri = parent.stdout.readline().strip()
        mongod = psutil.Process(pid_behind(uri))
        assert os.getsid(mongod.pid) == mongod.pid  # Ctrl-C does not reach it
        assert store_one(uri) == 1
        parent.kill()
    # At once, while the old mongod may still be going away.
    assert asyncio.run(run_once(data_dir))[1] == 2
    # A container's first process may never collect the orphan's exit status.
    assert not mongod.is_running() or mongod.status() == psutil.STATUS_ZOMBIE


def test_a_folder_in_use_is_refused_and_its_owner_unharmed(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(data_folder, "_HANDOVER_LIMIT_S", 0.1)

    async def scenario() -> None:
        async with embedded_mongodb(data_dir) as uri:
            message = await fail_to_start(data_dir)
            assert f"{data_dir} is in use by process {os.getpid()}" in message
            assert store_one(uri) == 1

    asyncio.run(scenario())


def test_a_folder_in_use_by_a_mongod_started_by_hand_is_refused(data_dir: Path):
    (data_dir / "db").mkdir(parents=True)
    by_hand = [
        mongod_process.find_mongod(),
        "--dbpath",
        data_dir / "db",
        "--port",
        "0",
        "--nounixsocket",
    ]
    with subprocess.Popen(by_hand, stdout=subprocess.DEVNULL) as mongod:
        try:
            lock = data_dir / "db" / "mongod.lock"
            while not (lock.exists() and lock.read_text()):
                time.sleep(0.02)
            assert "is in use by another process" in asyncio.run(fail_to_start(data_dir))
        finally:
            mongod.terminate()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    message = asyncio.run(fail_to_start(tmp_path / "file" / "data"))
    assert "cannot be used: Not a directory" in message
    assert "LATCHKEY_DATA" in message


def test_a_full_disk_is_told(data_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(data_folder, "_DISK_NEEDED_BYTES", 2**62)
    assert f"The disk of the data folder {data_dir} is full" in asyncio.run(fail_to_start(data_dir))


def test_a_missing_binary_is_told(data_dir: Path):
    message = asyncio.run(fail_to_start(data_dir, binary=Path("/nowhere/mongod")))
    assert "/nowhere/mongod is not a program" in message
    assert "LATCHKEY_MONGODB_URI" in message
    assert not data_dir.exists()


LOG_LINE = json.dumps({"s": "E", "msg": "WiredTiger error", "attr": {"error": "bad magic"}})


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("kill -ILL $$", "AVX"),
        (
            "echo 'mongod: error while loading shared libraries: libcurl.so.4: cannot open' >&2"
            "; exit 127",
            "apt-get install libcurl4",
        ),
        ("echo 'No space left on device'; exit 100", "is full"),
        (f"echo '{LOG_LINE}'; exit 14", "(status 14)"),
        (f"echo '{LOG_LINE}'; exit 14", "\n  E WiredTiger error bad magic"),
        ("echo 'thinking'; sleep 60", "was not ready within 0.5 s"),
        ("echo 'thinking'; sleep 60", "\n  thinking"),
    ],
)
def test_a_mongod_that_fails_is_explained(tmp_path: Path, data_dir: Path, script: str, told: str):
    binary = tmp_path / "mongod"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(0o755)
    message = asyncio.run(fail_to_start(data_dir, binary=binary, start_limit_s=0.5))
    assert told in message
    assert "LATCHKEY_MONGODB_URI" in message


def test_a_long_log_is_cut_with_one_copy_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mongod_process, "_LOG_LIMIT_BYTES", 10)
    log = tmp_path / "mongod.log"
    mongod_process.cut_log(log)
    assert not log.exists()
    with log.open("ab", buffering=0) as writer:
        writer.write(b"0123456789")
        mongod_process.cut_log(log)
        assert log.read_bytes() == b"0123456789"
        writer.write(b"a")
        mongod_process.cut_log(log)
        writer.write(b"b")
    assert log.read_bytes() == b"b"
    assert (tmp_path / "mongod.log.1").read_bytes() == b"0123456789a"
