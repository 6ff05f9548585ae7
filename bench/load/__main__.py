"""The load as a process of its own: each line of its input is a job, each of its output an answer.

python -m bench.load HOST PORT…
"""

import asyncio
import sys

import msgspec
import uvloop  # pyright: ignore[reportMissingImports]  # see bench/requirements.txt

from bench.load.jobs import Load


async def main(host: str, ports: list[int]) -> None:
    """Do what is asked, one job after the other, until there is nothing more to read."""
    load = Load(host, ports)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        name, arguments = msgspec.json.decode(line)
        told = await getattr(load, name)(**arguments)
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], [int(port) for port in sys.argv[2:]]))
