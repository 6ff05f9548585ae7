"""A lock's WebSocket: it only passes frames on to the lock's session."""

import asyncio

import structlog
from tornado.iostream import StreamClosedError
from tornado.util import ObjectDict
from tornado.websocket import (
    WebSocketClosedError,
    WebSocketHandler,
    WebSocketProtocol,
    WebSocketProtocol13,
)

from handlers.base import BaseHandler
from handlers.lock_frames import LockFrames
from handlers.operation import NOTHING, Access, operation
from handlers.parameters import positive
from server.domain.errors import ChannelClosed, Forbidden, InvalidInput
from server.domain.protocol import MAX_FRAME_BYTES, SUBPROTOCOL, CloseCode
from server.services.admission import Admitted
from server.services.lock_session import LockSession

log = structlog.get_logger(__name__)

MOST_UNSENT_BYTES = 256 * 1024


class SocketChannel:
    """A session's way to its socket; see ``server.services.channel.Channel``.

    What a lock does not read is bounded: beyond 256 KiB the lock is cut off.
    """

    def __init__(self, socket: WebSocketHandler) -> None:
        self._socket = socket
        self._connection = socket.ws_connection  # the socket forgets it when it says goodbye
        self._unsent_bytes = 0

    def send(self, text: str) -> None:
        """Write one text frame.

        Raises:
            ChannelClosed: nothing was written.
        """
        if self._unsent_bytes + len(text) > MOST_UNSENT_BYTES:
            self.close(CloseCode.TOO_SLOW, "reads too slowly")
            self.drop()
            raise ChannelClosed("the lock does not read")
        try:
            written = self._socket.write_message(text)
        except WebSocketClosedError as error:
            raise ChannelClosed("the connection is gone") from error
        if written.done() and written.exception() is None:
            return
        self._unsent_bytes += len(text)
        written.add_done_callback(lambda done: self._sent(done, len(text)))

    def ping(self) -> None:
        """Write a ping; a connection that is gone is passed over in silence."""
        try:
            self._socket.ping()
        except WebSocketClosedError:
            return

    def close(self, code: int, reason: str) -> None:
        """Say goodbye and close."""
        self._socket.close(code, reason)

    def drop(self) -> None:
        """Close at once, whether or not a goodbye was said or answered."""
        connection = self._connection
        if isinstance(connection, WebSocketProtocol13) and connection.stream is not None:
            connection.stream.close()

    def _sent(self, written: "asyncio.Future[None]", length: int) -> None:
        self._unsent_bytes -= length
        error = None if written.cancelled() else written.exception()
        if error is not None and not isinstance(error, WebSocketClosedError | StreamClosedError):
            log.error("write_failed", exc_info=error)


class LockSocket(BaseHandler, WebSocketHandler):
    """The connection of a lock: a WebSocket, refused before the upgrade or kept."""

    session: LockSession | None = None
    admitted: Admitted | None = None
    is_gone = False

    async def prepare(self) -> None:
        """Let nobody but the lock in ("Connecting" of the lock protocol).

        Raises:
            Unauthenticated: an unknown lock or a wrong token, without telling which.
            Forbidden: a browser asks.
            InvalidInput: it is no WebSocket, or not of this protocol.
            Overloaded: this node takes no more locks right now.
        """
        await super().prepare()
        lock_id = positive("lockId", self.path_kwargs["lock_id"])
        self.admitted = self.services.admission.enter(self.address)
        self.lock = await self.services.auth.lock(lock_id, self.bearer)
        headers = self.request.headers
        if "Origin" in headers:
            raise Forbidden("Browsers are not locks")
        if headers.get("Upgrade", "").lower() != "websocket":
            raise InvalidInput("Upgrade", "this address is a WebSocket")
        offered = headers.get("Sec-WebSocket-Protocol", "").split(",")
        if SUBPROTOCOL not in [name.strip() for name in offered]:
            raise InvalidInput("Sec-WebSocket-Protocol", f"must offer {SUBPROTOCOL}")

    # Tornado's own method upgrades the connection, and reads its frames until it ends.
    get = operation(Access.LOCK, {101: NOTHING}, errors=(400, 403))(WebSocketHandler.get)

    @property
    def max_message_size(self) -> int:
        return MAX_FRAME_BYTES

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return SUBPROTOCOL

    def get_compression_options(self) -> None:
        """None: compression costs 180 KiB a lock for frames of a few hundred bytes."""

    def get_websocket_protocol(self) -> WebSocketProtocol | None:
        plain = super().get_websocket_protocol()
        if not isinstance(plain, WebSocketProtocol13):
            return plain
        return LockFrames(plain, on_fragment=self._heard)

    def open(self, *_args: str, **_kwargs: str) -> None:
        if self.is_gone:  # it went away while its credential was looked up
            self.close()
            return
        self.set_nodelay(True)
        self.session = self.services.sessions.connect(self.lock, SocketChannel(self))
        self._forget_the_upgrade()

    def _forget_the_upgrade(self) -> None:
        """Keep nothing that only the request needed: connections last, and there are thousands."""
        del self.lock  # the session has it, and a newer one soon
        self.request.headers.clear()
        self._headers.clear()  # those of the answer, which is written
        self.ui = ObjectDict()

    async def on_message(self, message: str | bytes) -> None:
        # Tornado reads the next frame only after this returns, so nothing in
        # here may wait for the lock's own answer.
        if self.session is not None:
            await self.session.receive(message)
            if self.admitted is not None and self.session.is_greeted:
                self.admitted.greeted()

    def on_pong(self, data: bytes) -> None:
        self._heard()

    def on_ping(self, data: bytes) -> None:
        self._heard()

    def _heard(self) -> None:
        if self.session is not None:
            self.session.heard()

    def on_finish(self) -> None:
        if self.admitted is not None and self.get_status() != 101:
            self.admitted.left(was_refused=True)

    def on_close(self) -> None:
        self.is_gone = True
        if self.admitted is not None:
            self.admitted.left()
        if self.session is not None:  # open() may have failed
            self.services.sessions.disconnect(self.session)
