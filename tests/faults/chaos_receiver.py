"""A receiver of webhooks at its worst, as a program: ``chaos_receiver.py PORT JOURNAL SEED``.

It refuses, stalls, cuts connections, and forgets to say that it has taken an event. What it
takes is in its journal before it answers. That journal is what happened.
"""

import asyncio
import json
import os
import random
import sys
from pathlib import Path

STALL_S = 5.0
TROUBLE = {
    "refuse": 0.12,
    "cut": 0.05,
    "stall": 0.005,
    "take and cut": 0.04,
    "take and refuse": 0.04,
}
"""What it does to which part of the requests; it takes all the others as it should."""
REFUSALS = (400, 404, 408, 429, 500, 503)


class ChaosReceiver:
    """Decides by its own dice, and writes down what it takes."""

    def __init__(self, journal: Path, seed: int) -> None:
        self._journal = journal.open("ab")
        self._dice = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which is one request."""
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other end has gone, which is its right
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = await reader.readexactly(length)
        mood = self._mood()
        if mood == "stall":
            await asyncio.sleep(STALL_S)
        if mood.startswith("take"):
            self._take(body)
        if "cut" in mood or mood == "stall":
            return
        status = self._dice.choice(REFUSALS) if "refuse" in mood else 204
        writer.write(f"HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()

    def _mood(self) -> str:
        thrown = self._dice.random()
        for mood, part in TROUBLE.items():
            if thrown < part:
                return mood
            thrown -= part
        return "take"

    def _take(self, body: bytes) -> None:
        event = json.loads(body)
        detail = event["detail"]
        line = {
            "id": event["id"],
            "lock": detail["data"]["lockId"],
            "version": detail["version"],
        }
        self._journal.write(json.dumps(line).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())


async def main(port: int, journal: Path, seed: int) -> None:
    """Listen until somebody ends the program."""
    receiver = ChaosReceiver(journal, seed)
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", port)
    print(f"listening {seed}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
