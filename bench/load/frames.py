"""WebSocket frames as bytes: just what a lock sends and reads here, with nothing checked.

The server's frames are short and whole; the load is about what they cost the server.
"""

import os
import struct
from collections.abc import Iterator

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

_MASK = os.urandom(4)
"""One mask for all frames: unmasking costs the server the same whatever it is."""
_LONGEST_MASK = int.from_bytes(_MASK * (2**14 + 1))


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A whole, masked frame."""
    length = len(payload)
    if length < 126:
        head = bytes((0x80 | opcode, 0x80 | length))
    elif length < 2**16:
        head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    return head + _MASK + _masked(payload)


def _masked(payload: bytes) -> bytes:
    length = len(payload)
    padded = length + -length % 4
    mask = _LONGEST_MASK >> 8 * (4 * (2**14 + 1) - padded)
    masked = int.from_bytes(payload) << 8 * (padded - length) ^ mask
    return masked.to_bytes(padded)[:length]


def server_frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take each frame that has come whole out of ``buffer``: its opcode and payload."""
    while len(buffer) >= 2:
        length, begin = buffer[1] & 0x7F, 2
        if length == 126:
            if len(buffer) < 4:
                return
            length, begin = int.from_bytes(buffer[2:4]), 4
        elif length == 127:
            if len(buffer) < 10:
                return
            length, begin = int.from_bytes(buffer[2:10]), 10
        if len(buffer) < begin + length:
            return
        opcode, payload = buffer[0] & 0xF, bytes(buffer[begin : begin + length])
        del buffer[: begin + length]
        yield opcode, payload
