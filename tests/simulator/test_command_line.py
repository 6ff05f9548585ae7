"""``python -m simulator`` as a real process, stopped and killed."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from simulator.__main__ import main
from tests.simulator.lock_server import TIMEOUT_S, TOKEN, LockServer

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def simulator(*arguments: object) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "simulator",
        *map(str, arguments),
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def output_of(process: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(TIMEOUT_S):
        output, _ = await process.communicate()
    return output.decode()


def test_one_lock_opens_says_so_and_goes_with_a_goodbye(tmp_path):
    async def journey() -> None:
        token_file = tmp_path / "token"
        token_file.write_text(TOKEN + "\n")
        server = LockServer()
        lock = ("--lock", 17, "--token-file", token_file, "--bolt-seconds", 0)
        async with server.running(), simulator("--url", server.url, *lock) as process:
            session = await server.session()
            await session.command("c-1")
            assert await session.result() == ("c-1", "accepted", None)
            assert await session.result() == ("c-1", "opened", None)
            process.send_signal(signal.SIGTERM)
            output = await output_of(process)
            assert process.returncode == 0
            assert session.socket.close_code == 1000
        assert "lock 17: welcomed, session s-1" in output
        assert "lock 17: the door is open (command c-1)" in output
        assert TOKEN not in output

    asyncio.run(journey())


def test_a_fleet_comes_from_standard_input_and_may_be_cut_short(tmp_path):
    fleet = [
        {"lockId": 1, "token": TOKEN, "name": "Front door", "battery": 9},
        {"lockId": 2, "token": TOKEN, "jammed": True, "faults": "duplicate"},
        {"lockId": 3, "token": TOKEN},
    ]

    async def journey() -> None:
        server = LockServer()
        options = ("--fleet", "-", "--locks", 2, "--state", tmp_path, "--telemetry-every", 0)
        async with server.running(), simulator("--url", server.url, *options) as process:
            assert process.stdin is not None
            process.stdin.write(json.dumps(fleet).encode())
            process.stdin.write_eof()
            await server.session()
            await server.session()
            process.send_signal(signal.SIGINT)
            output = await output_of(process)
            assert process.returncode == 0
        assert sorted(server.paths) == ["/locks/1/connect", "/locks/2/connect"]
        assert "lock 1 (Front door): welcomed" in output
        assert {path.name for path in tmp_path.iterdir()} == {"lock-1", "lock-2"}

    asyncio.run(journey())


def test_a_killed_lock_neither_reuses_a_number_nor_opens_again(tmp_path):
    async def journey() -> None:
        token_file = tmp_path / "token"
        token_file.write_text(TOKEN)
        server = LockServer()
        options = ("--lock", 17, "--token-file", token_file, "--state", tmp_path)
        timing = ("--telemetry-every", 0.01, "--bolt-seconds", 0.2)
        async with server.running():
            command = None
            for _ in range(3):
                async with simulator("--url", server.url, *options, *timing) as process:
                    session = await server.session()
                    if command is None:
                        command = await session.command("c-1")
                    else:
                        await session.send(command)
                    await session.result()
                    await server.stored_reports(len(server.stored) + 3)
                    process.kill()
                    await process.wait()
        openings = (tmp_path / "lock-17" / "door.jsonl").read_text().splitlines()
        assert [json.loads(line)["commandId"] for line in openings] == ["c-1"]
        assert len({epoch for epoch, _ in server.stored}) == 1
        assert sorted(seq for _, seq in server.stored) == list(range(1, len(server.stored) + 1))

    asyncio.run(journey())


def test_a_lock_that_was_frozen_past_the_expiry_refuses_what_waited_in_its_socket(tmp_path):
    async def journey() -> None:
        token_file = tmp_path / "token"
        token_file.write_text(TOKEN)
        server = LockServer()
        lock = ("--lock", 17, "--token-file", token_file, "--state", tmp_path)
        async with server.running(), simulator("--url", server.url, *lock) as process:
            session = await server.session()
            process.send_signal(signal.SIGSTOP)
            await session.command("c-1", life_s=0.3)
            await asyncio.sleep(0.4)  # the command's life passes
            process.send_signal(signal.SIGCONT)
            assert await session.result() == ("c-1", "refused", "expired")
        assert not (tmp_path / "lock-17" / "door.jsonl").exists()

    asyncio.run(journey())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--lock", "17"], "--lock needs --token-file"),
        (["--lock", "17", "--token-file", "missing"], "missing"),
        (["--api-key-file", "key"], "--api-key-file needs --locks and --state"),
        (["--api-key-file", "missing", "--locks", "1", "--state", "{tmp}/locks"], "missing"),
        (["--fleet", "missing.json"], "missing.json"),
        (["--fleet", "{tmp}/bad.json"], "not a list of locks"),
        (["--fleet", "{tmp}/twice.json"], "names a lock twice"),
        (["--fleet", "{tmp}/good.json", "--faults", "drip=1"], "unknown fault 'drip=1'"),
        (["--fleet", "{tmp}/good.json", "--bolt-seconds", "-1"], "not a number of seconds"),
        (["--fleet", "{tmp}/good.json", "--url", "nowhere"], "not a server's address"),
        ([], "--lock --fleet --api-key-file"),
    ],
)
def test_a_command_line_that_makes_no_sense_says_why(tmp_path, capsys, arguments, complaint):
    member = {"lockId": 1, "token": TOKEN}
    (tmp_path / "bad.json").write_text(json.dumps([{**member, "lock": 7}]))
    (tmp_path / "twice.json").write_text(json.dumps([member, member]))
    (tmp_path / "good.json").write_text(json.dumps([member]))
    filled = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    with pytest.raises(SystemExit) as stopped:
        main(["--url", "http://127.0.0.1:1", *filled])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert TOKEN not in said
