"""FastAPI on uvicorn and uvloop, with Motor: the same jobs, written with care.

Reports of all locks are gathered and stored in one ``insert_many``, then acknowledged. It leaves
out: admission, rates and limits, sessions that supersede each other and the nodes' bus, expiry
on the way, steps by compare-and-set, atomic uses, the audit trail, translations, metrics, logs.
"""

import asyncio
import hashlib
import json
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Form, HTTPException, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from jinja2 import Environment
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import BulkWriteError

PAGE = Environment(autoescape=True).from_string(
    "<!doctype html><title>{{ title }}</title>"
    '<section data-state="{{ state }}"><h1>{{ title }}</h1><p>{{ lock }}</p></section>'
)
TITLES = {"queued": "Sending", "accepted": "Opening", "opened": "The door is open"}
MOST_PER_WRITE = 2_000
ANSWER_WITHIN_S = 0.5

Document = dict[str, Any]


class Lock:
    """A lock's connection."""

    def __init__(self, lock_id: int, socket: WebSocket) -> None:
        self.lock_id = lock_id
        self.epoch = ""
        self._socket = socket

    async def say(self, frame: Document) -> None:
        await self._socket.send_text(json.dumps(frame, separators=(",", ":")))


class Peer:
    """Everything behind the routes."""

    def __init__(self, uri: str, database: str) -> None:
        self.client = AsyncIOMotorClient(uri, tz_aware=True)
        self.database = self.client[database]
        self.locks: dict[int, Lock] = {}
        self.waiting: asyncio.Queue[tuple[Lock, list[Document]]] = asyncio.Queue(10_000)
        self.followed: dict[str, asyncio.Event] = {}

    async def begin(self) -> None:
        await self.database.reports.create_index([("lockId", 1), ("receivedAt", -1)])
        await self.database.commands.create_index([("lockId", 1), ("requestedAt", -1)])

    async def write_forever(self) -> None:
        while True:
            gathered = [await self.waiting.get()]
            count = len(gathered[0][1])
            while count < MOST_PER_WRITE and not self.waiting.empty():
                gathered.append(self.waiting.get_nowait())
                count += len(gathered[-1][1])
            documents = [document for _, reports in gathered for document in reports]
            try:
                await self.database.reports.insert_many(documents, ordered=False)
            except BulkWriteError as error:
                if any(each["code"] != 11000 for each in error.details["writeErrors"]):
                    raise
            upto = {lock: reports[-1]["seq"] for lock, reports in gathered}
            for lock, seq in upto.items():
                try:
                    await lock.say({"type": "ack", "seq": seq})
                except (RuntimeError, WebSocketDisconnect):
                    continue

    async def connected(self, lock: Lock) -> None:
        self.locks[lock.lock_id] = lock
        await self._presence(lock, online=True)

    async def gone(self, lock: Lock) -> None:
        if self.locks.get(lock.lock_id) is lock:
            del self.locks[lock.lock_id]
            await self._presence(lock, online=False)

    async def take(self, lock: Lock, frame: Document) -> None:
        now = datetime.now(UTC)
        match frame["type"]:
            case "telemetry":
                await self.waiting.put((lock, [self._report(lock, frame, now)]))
            case "batch":
                reports = [self._report(lock, each, now) for each in frame["reports"]]
                await self.waiting.put((lock, reports))
            case "hello":
                lock.epoch = frame["epoch"]
                await self.connected(lock)
                await lock.say({"type": "welcome"})
            case "result":
                await self.settle(frame["commandId"], frame["status"])

    async def open(self, key_uuid: str) -> str:
        key = await self.database.tempKeys.find_one({"_id": key_uuid})
        now = datetime.now(UTC)
        if key is None:
            raise HTTPException(404)
        if not key["validFrom"] <= now < key["validUntil"]:
            raise HTTPException(400)
        lock = self.locks.get(key["lockId"])
        if lock is None:
            raise HTTPException(502)
        command_id = hashlib.sha256(f"{key_uuid}{now}".encode()).hexdigest()
        command = {"lockId": lock.lock_id, "keyUuid": key_uuid, "state": "queued"}
        await self.database.commands.insert_one({"_id": command_id, "requestedAt": now, **command})
        opened = self.followed[command_id] = asyncio.Event()
        expires_at = (now + timedelta(seconds=8)).isoformat()
        await lock.say({"type": "command", "id": command_id, "expiresAt": expires_at})
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await opened.wait()
        except TimeoutError:
            pass
        del self.followed[command_id]
        return command_id

    async def settle(self, command_id: str, state: str) -> None:
        await self.database.commands.update_one({"_id": command_id}, {"$set": {"state": state}})
        if state != "accepted" and command_id in self.followed:
            self.followed[command_id].set()

    async def _presence(self, lock: Lock, *, online: bool) -> None:
        presence = {"online": online, "since": datetime.now(UTC)}
        await self.database.locks.update_one({"_id": lock.lock_id}, {"$set": presence})

    @staticmethod
    def _report(lock: Lock, report: Document, now: datetime) -> Document:
        seq = report["seq"]
        place = {"lockId": lock.lock_id, "epoch": lock.epoch, "seq": seq}
        at = datetime.fromisoformat(report["at"])
        return {**report, "_id": place, "lockId": lock.lock_id, "at": at, "receivedAt": now}


def make_app(uri: str, database: str) -> FastAPI:
    """The routes."""
    peer = Peer(uri, database)

    @asynccontextmanager
    async def running(_app: FastAPI):
        await peer.begin()
        writer = asyncio.create_task(peer.write_forever())
        yield
        writer.cancel()
        peer.client.close()

    app = FastAPI(lifespan=running)

    @app.get("/health/ready")
    async def ready() -> str:
        return "ready"

    @app.websocket("/locks/{lock_id}/connect")
    async def connect(socket: WebSocket, lock_id: int) -> None:
        token = socket.headers.get("authorization", "").removeprefix("Bearer ")
        digest = hashlib.sha256(token.encode()).hexdigest()
        known = await peer.database.locks.find_one({"_id": lock_id, "tokenDigest": digest})
        if known is None:
            await socket.close()
            return
        await socket.accept("latchkey.v1")
        lock = Lock(lock_id, socket)
        try:
            while True:
                await peer.take(lock, json.loads(await socket.receive_text()))
        except WebSocketDisconnect:
            pass
        finally:
            await peer.gone(lock)

    @app.post("/temp-keys/{key_uuid}/doors/{door_id}/open")
    async def open_door(
        key_uuid: str, door_id: int, attempt: Annotated[str, Form()]
    ) -> RedirectResponse:
        command_id = await peer.open(key_uuid)
        page = f"/temp-keys/{key_uuid}/confirmation?door={door_id}&command={command_id}"
        return RedirectResponse(page, status_code=303)

    async def look(key_uuid: str, command: str) -> tuple[str, Document]:
        key = await peer.database.tempKeys.find_one({"_id": key_uuid})
        if key is None:
            raise HTTPException(404)
        found = await peer.database.commands.find_one({"_id": command, "keyUuid": key_uuid})
        lock = await peer.database.locks.find_one({"_id": key["lockId"]})
        return found["state"] if found else "queued", lock

    @app.get("/temp-keys/{key_uuid}/confirmation")
    async def confirmation(key_uuid: str, command: str = "") -> HTMLResponse:
        state, lock = await look(key_uuid, command)
        return HTMLResponse(PAGE.render(title=TITLES[state], state=state, lock=lock["name"]))

    @app.get("/temp-keys/{key_uuid}/confirmation/stream")
    async def stream(key_uuid: str, command: str) -> StreamingResponse:
        async def changes():
            state = ""
            while state != "opened":
                state, lock = await look(key_uuid, command)
                page = PAGE.render(title=TITLES[state], state=state, lock=lock["name"])
                yield f"event: state\ndata: {page}\n\n"
                await asyncio.sleep(0.05 if state != "opened" else 0)

        return StreamingResponse(changes(), media_type="text/event-stream")

    return app


if __name__ == "__main__":
    uvicorn.run(
        make_app(sys.argv[2], sys.argv[3]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_ping_interval=20,
        backlog=1024,
        access_log=False,
        log_level="warning",
    )
