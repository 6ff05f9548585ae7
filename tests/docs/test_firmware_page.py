"""The page for firmware engineers: its frames are the codec's, its errors the server's."""

import json
import re
from pathlib import Path

from handlers.asyncapi_tables import CLOSE_CODES
from handlers.lock_exchange import EXCHANGE
from server.domain.protocol import LOCK_FRAMES, LockEvent, encode_frame
from tests.house import House
from tests.journeys.bare_lock import BareLock

PAGE = (Path(__file__).parents[2] / "docs" / "firmware.md").read_text()
CONVERSATION, WRONG = PAGE.split("\n## What goes wrong\n")


def said_in(part: str) -> list[tuple[str, str]]:
    """Who says what, line by line: the arrow, and the words behind it."""
    return re.findall(r"^    ([→←]) (.+)$", part, re.MULTILINE)


def test_the_conversation_is_what_the_codec_writes():
    expected = [
        ("→" if isinstance(frame, LOCK_FRAMES) else "←", encode_frame(frame)) for frame in EXCHANGE
    ]
    assert said_in(CONVERSATION) == expected


async def test_what_goes_wrong_is_answered_as_the_page_says(house: House):
    async with BareLock(house.url, await house.device()).online() as connection:
        for arrow, words in said_in(WRONG):
            if arrow == "→":
                await connection.socket.send(words)
            elif words.startswith("close "):
                assert await connection.closed() == int(words.removeprefix("close "))
            else:
                assert await connection.next_frame() == json.loads(words)


def test_every_close_code_is_in_the_table_with_what_to_do():
    for code, (because, then) in CLOSE_CODES.items():
        assert f"| {int(code)} | {because} | {then} |" in PAGE


def test_every_event_and_every_field_of_a_frame_is_named():
    names = {name for frame in EXCHANGE for name in json.loads(encode_frame(frame))}
    for name in names | set(LockEvent):
        assert re.search(rf'[`"{{]{name}[`":]', PAGE), name


def test_the_parts_that_the_lock_in_c_speaks_of_are_there():
    source = (Path(__file__).parents[2] / "docs" / "examples" / "lock.c").read_text()
    named = re.findall(r'^/\*.*\("([^"]+)"\)', source, re.MULTILINE)
    assert named
    for heading in named:
        assert f"\n## {heading}\n" in PAGE
