"""The frames of a lock's WebSocket, where Tornado says or counts too little of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from tornado.websocket import WebSocketProtocol13

if TYPE_CHECKING:
    from asyncio import Future

_TEXT = 0x1


class LockFrames(WebSocketProtocol13):
    """Tornado's protocol, with two answers of our own.

    Text that is not UTF-8 reaches the session, which tells the lock what was wrong, where Tornado
    would drop the connection without a word. And each fragment of a message that is not
    complete counts: empty ones never make it too long, and would never end.
    """

    def __init__(self, plain: WebSocketProtocol13, on_fragment: Callable[[], None]) -> None:
        super().__init__(plain.handler, plain.mask_outgoing, plain.params)
        self._on_fragment = on_fragment

    async def _receive_frame(self) -> None:
        await super()._receive_frame()
        if self._fragmented_message_buffer is not None:
            self._on_fragment()

    def _handle_message(self, opcode: int, data: bytes) -> "Future[None] | None":
        if opcode != _TEXT or self.client_terminated:
            return super()._handle_message(opcode, data)
        # No frame of a lock can be read from a text with what this leaves in it.
        text = data.decode("utf-8", "surrogateescape")
        return self._run_callback(self.handler.on_message, text)
