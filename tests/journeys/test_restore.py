"""A house burns down: what was backed up answers as before, and its doors open again."""

from pathlib import Path

import msgspec
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from server.app import make_app, open_services
from server.settings import Settings
from server.storage.archive import ArchiveReader
from server.storage.archive_import import Archive, ArchiveWriter
from server.storage.mongo import Database
from simulator.options import LockOptions
from simulator.simulated_lock import SimulatedLock
from tests.house import QUICK_DOOR, House, People, command_id_of, until


async def test_a_restored_backup_gives_the_same_answers_and_opens_the_same_doors(
    house: House, database: Database, mongodb_uri: str, settings: Settings, tmp_path: Path
):
    device = await house.device()
    key = await house.key(device)
    options = LockOptions(times=QUICK_DOOR, telemetry_every_s=None)
    async with SimulatedLock(
        device.lock_id, house.url, device.token, tmp_path / "lock", options
    ).connected():
        opened = command_id_of(await house.tap_open(key))
        await house.until_state(opened, "opened")
    await house.until_offline(device)
    answers = [
        "/locks",
        f"/locks/{device.lock_id}/details",
        f"/locks/{device.lock_id}/events",
        f"/commands/{opened}",
        "/temp-keys",
        "/events?after=0",
    ]

    async def events_are_in_place() -> bool:
        return await database["events"].find_one({"position": 0}) is None and (
            await database["events"].count_documents({"type": "LockOffline"}) == 1
        )

    await until(events_are_in_place)
    before = {path: await house.manage("GET", path) for path in answers}

    backup = tmp_path / "backup.jsonl"
    backup.write_bytes(
        b"".join([line async for line in await ArchiveReader(database).everything()])
    )
    elsewhere = f"{settings.mongodb_database}_restored"
    restored = msgspec.structs.replace(settings, mongodb_database=elsewhere)
    try:
        await ArchiveWriter(database.client[elsewhere]).write(Archive(backup))
        async with open_services(restored, mongodb_uri) as services:
            server, sockets = HTTPServer(make_app(services)), bind_sockets(0, "127.0.0.1")
            server.add_sockets(sockets)
            url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
            people = People(url, house.api_key)
            for path, answer in before.items():
                again = await people.manage("GET", path)
                assert (again.status, again.json()) == (200, answer.json()), path
            async with SimulatedLock(
                device.lock_id, url, device.token, tmp_path / "lock", options
            ).connected():
                await people.until_online(device)
                await people.until_state(command_id_of(await people.tap_open(key)), "opened")
            people.leave()
            server.stop()
            await server.close_all_connections()
    finally:
        await database.client.drop_database(elsewhere)
