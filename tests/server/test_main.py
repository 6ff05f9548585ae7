"""The command line, as an operator runs it: a process of its own, on the real MongoDB."""

import asyncio
import signal
import socket

import msgspec
import pytest

from server.domain.secrets import digest
from server.storage.mongo import Database
from tests.house import House
from tests.server.command_line import WITHIN_S, Run, create_organization, start

# Organisations and API keys


async def test_an_organisation_that_is_created_is_listed(run: Run, database: Database):
    created = await run("org", "create", "Hotel Post", "--json")
    listed = await run("org", "list", "--json")
    assert (created.code, listed.code) == (0, 0)
    assert created.json["name"] == "Hotel Post"
    assert listed.json == created.json


async def test_without_json_an_answer_is_lines_for_a_person(run: Run, database: Database):
    created = await run("org", "create", "Hotel Post")
    assert created.code == 0
    assert "name: Hotel Post\n" in created.out


async def test_an_api_key_that_is_issued_is_kept_as_its_digest_only(run: Run, database: Database):
    org_id = await create_organization(run)
    issued = await run("key", "issue", "--org", org_id, "--json")
    assert issued.code == 0
    secret = issued.json["apiKey"]
    kept = await database["apiKeys"].find_one()
    assert kept is not None
    assert (kept["orgId"], kept["digest"]) == (org_id, digest(secret))
    assert secret not in str(kept)
    assert secret not in issued.err


async def test_an_api_key_for_an_organisation_that_is_not_there_is_refused(
    run: Run, database: Database
):
    issued = await run("key", "issue", "--org", "nowhere", "--json")
    assert (issued.code, issued.out) == (1, "")
    assert "There is no organisation with this id" in issued.err
    assert "Traceback" not in issued.err


async def test_api_keys_are_replaced_and_ended(house: House, run: Run):
    org = ("--org", house.organization.id, "--json")
    rotated = (await run("key", "rotate", *org)).json["apiKey"]
    listed = (await run("key", "list", *org)).json["apiKey"]
    assert (await house.manage("GET", "/locks")).status == 401
    assert (await house.fetch("/locks", X_API_Key=rotated)).status == 200
    assert (listed[:8], listed[-4:]) == (rotated[:8], rotated[-4:])
    assert (await run("key", "revoke", *org)).json == {"revoked": 1}
    assert (await house.fetch("/locks", X_API_Key=rotated)).status == 401


# Locks


async def test_a_lock_is_created_with_a_token_that_can_be_replaced(run: Run, database: Database):
    org_id = await create_organization(run)
    created = await run(
        "lock", "create", "Front door", "--org", org_id, "--time-zone", "Europe/Rome", "--json"
    )
    assert created.code == 0
    assert created.json["lockId"] == 1
    lock = await database["locks"].find_one({"_id": 1})
    assert lock is not None
    assert (lock["name"], lock["timeZone"]) == ("Front door", "Europe/Rome")
    assert lock["tokenDigest"] == digest(created.json["token"])

    replaced = await run("lock", "credential", "1", "--org", org_id, "--json")
    assert replaced.code == 0
    assert replaced.json["token"] != created.json["token"]
    lock = await database["locks"].find_one({"_id": 1})
    assert lock is not None
    assert lock["tokenDigest"] == digest(replaced.json["token"])


async def test_a_lock_that_cannot_be_created_is_refused_with_a_clear_message(
    run: Run, database: Database
):
    org_id = await create_organization(run)
    taken = await run("lock", "create", "Door", "--org", org_id, "--id", "7", "--json")
    assert taken.code == 0
    again, zone, number, credential = await asyncio.gather(
        run("lock", "create", "Door", "--org", org_id, "--id", "7"),
        run("lock", "create", "Door", "--org", org_id, "--time-zone", "Mars/Olympus"),
        run("lock", "create", "Door", "--org", org_id, "--id", "0"),
        run("lock", "credential", "99", "--org", org_id),
    )
    assert [ran.code for ran in (again, zone, number, credential)] == [1, 1, 1, 1]
    assert "7" in again.err
    assert "Mars/Olympus" in zone.err
    assert "above zero" in number.err
    assert "The organisation has no such lock" in credential.err
    assert "Traceback" not in again.err + zone.err + number.err + credential.err
    assert await database["locks"].count_documents({}) == 1


async def test_a_command_beside_a_running_server_leaves_its_locks_online(house: House, run: Run):
    lock = await house.lock()
    async with lock.connected():
        listed = await run("org", "list", "--json")
        assert listed.code == 0
        shown = await house.manage("GET", f"/locks/{lock.lock_id}")
    assert shown.json()["connection"]["online"] is True


# Temp keys


async def test_a_temp_key_is_a_link_that_guests_can_open_and_scan(house: House, run: Run):
    lock = await house.lock()
    wanted = ("temp-key", "create", "--org", house.organization.id, "--lock", str(lock.lock_id))
    created = await run(*wanted, "--url", house.url, "--uses", "3")
    assert created.code == 0
    link = created.out.partition("link: ")[2].splitlines()[0]
    assert "█▀▀" in created.out  # the picture to scan
    assert (await house.visit(link.removeprefix(house.url))).status == 200
    asked = await run(*wanted, "--json")
    assert asked.json.keys() == {"uuid", "link", "validUntil"}
    listed = await house.manage("GET", f"/locks/{lock.lock_id}/temp-keys")
    assert [key["maxUses"] for key in listed.json()["tempKeys"]] == [None, 3]


# What cannot work


async def test_bad_settings_are_all_named_and_nothing_is_done(run: Run, database: Database):
    refused = await run(
        "org", "create", "Hotel", LATCHKEY_PORT="eighty", LATCHKEY_JWT_SECRET="too-short"
    )
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.splitlines() == [
        "LATCHKEY_JWT_SECRET: Must have at least 32 bytes.",
        "LATCHKEY_PORT: Not a valid integer.",
    ]
    assert await database["organizations"].count_documents({}) == 0


async def test_a_database_that_is_away_is_said_in_one_sentence(run: Run):
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))  # it is ours, and nobody listens on it
        refused = await run(
            "org",
            "list",
            LATCHKEY_MONGODB_URI=f"mongodb://127.0.0.1:{port.getsockname()[1]}",
            LATCHKEY_MONGODB_TIMEOUT_S="0.2",
        )
    assert refused.code == 1
    assert "The database does not answer" in refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize("arguments", [("nonsense",), ("key", "issue")])
async def test_a_command_line_that_is_wrong_shows_how_it_is_used(
    run: Run, arguments: tuple[str, ...]
):
    refused = await run(*arguments)
    assert refused.code == 2
    assert refused.err.startswith("usage:")


# Serving


async def test_a_server_says_where_it_is_and_stops_when_it_is_asked_to(
    environment: dict[str, str], database: Database
):
    process = await start(environment, "serve")
    assert process.stderr is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            async for line in process.stderr:
                said = msgspec.json.decode(line)
                if said["event"] == "serving":
                    break
            else:
                pytest.fail("it never served")
            host, port = said["url"].removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            process.send_signal(signal.SIGTERM)
            rest = await process.stderr.read()
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
    assert answer.startswith(b"HTTP/1.1 200")
    assert code == 0
    assert b"Traceback" not in rest
    assert await database["nodes"].count_documents({}) == 0
