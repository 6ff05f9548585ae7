"""This node's connection to NATS: made again whenever it is lost, with nothing kept back for it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from server import tracing
from server.bus.nats_client import NatsClient

log = structlog.get_logger(__name__)

_CONNECT_WITHIN_S = 5.0
_CALL_WITHIN_S = 2.0
_CHECK_EVERY_S = 2.0
_RETRY_AFTER_S = 0.5
_CLOSE_WITHIN_S = 1.0
_TIMES_TOLD_TO_END = 3
_MOST_UNSENT = 1_000
_MOST_UNREAD = 1_000
_MOST_UNREAD_BYTES = 1024 * 1024

_TRACE = "traceparent"
"""The header that says which trace a request is part of, in W3C's words."""

Take = Callable[[bytes, str, str | None], None]
"""Takes a message, the subject on which its answer is awaited (empty where none is), and the
place in a trace that it carries."""

_FAILURES = (nats.errors.Error, OSError, TimeoutError)


class LinkDown(Exception):
    """There is no connection to NATS now; nothing was sent."""


class NobodyListens(Exception):
    """NATS knows nobody who takes messages on that subject; nothing was sent."""


class NoAnswer(Exception):
    """The answer did not come in time; the message may have arrived, or may yet arrive."""


class NatsLink:
    """One connection at a time.

    The client's own reconnecting is not used: it would send, when NATS is back, what was
    published while it was away. Here that is lost with its connection.
    """

    def __init__(self, url: str) -> None:
        self._servers = [server.strip() for server in url.split(",")]
        self._client: NatsClient | None = None
        self._listening: dict[str, Take] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._unsent: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_MOST_UNSENT)
        self._up = asyncio.Event()
        self._doubt = asyncio.Event()
        """Set where the connection should be looked at sooner than usual."""

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._client is not None and self._client.is_connected

    async def run_forever(self) -> None:
        """Connect, and again whenever the connection is lost: run as a task of the node."""
        was_up = True
        while True:
            _heed_cancellation()
            try:
                async with asyncio.timeout(_CONNECT_WITHIN_S):
                    client = await self._connect()
            except _FAILURES as error:
                if was_up:
                    log.warning("nats_away", error=type(error).__name__)
                was_up = False
                await asyncio.sleep(_RETRY_AFTER_S)
                continue
            was_up = True
            try:
                await self._use(client)
            finally:
                self._client = None
                self._up.clear()
                await _close(client)
            log.warning("nats_lost")
            await asyncio.sleep(_RETRY_AFTER_S)

    async def until_up(self, within_s: float) -> bool:
        """Wait for a connection, at most ``within_s`` seconds; whether there is one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._up.wait()
        return self._up.is_set()

    async def listen(self, subject: str, take: Take) -> None:
        """Take what comes on a subject; when this returns, NATS knows, if it is there."""
        self._listening[subject] = take
        client = self._client
        if client is None:
            return
        try:
            async with asyncio.timeout(_CALL_WITHIN_S):
                await self._subscribe(client, subject, take)
                await client.rtt()
        except _FAILURES:
            self._doubt.set()

    async def unlisten(self, subject: str) -> None:
        """Take no more of what comes on a subject; when this returns, NATS knows."""
        self._listening.pop(subject, None)
        subscription, client = self._subscriptions.pop(subject, None), self._client
        if subscription is None or client is None:
            return
        try:
            async with asyncio.timeout(_CALL_WITHIN_S):
                await subscription.unsubscribe()
                await client.rtt()
        except _FAILURES:
            self._doubt.set()

    def publish(self, subject: str, message: bytes) -> None:
        """Send a message to whoever listens; without a connection it is lost.

        Where more is published than NATS takes, the oldest goes.
        """
        if self._client is None:
            return
        if self._unsent.full():
            self._unsent.get_nowait()
            self._unsent.task_done()
        self._unsent.put_nowait((subject, message))

    async def request(self, subject: str, message: bytes, within_s: float) -> bytes:
        """Send a message to the one who listens, and wait for the answer.

        It carries the place in its trace of the task that sends it.

        Raises:
            LinkDown, NobodyListens: nothing was sent.
            NoAnswer: it is not known whether it arrived.
        """
        client = self._client
        if client is None or not client.is_connected:
            raise LinkDown
        carried = tracing.carried()
        headers = None if carried is None else {_TRACE: carried}
        try:
            async with asyncio.timeout(within_s):
                answer = await client.request(subject, message, within_s, headers=headers)
                return answer.data
        except nats.errors.NoRespondersError as error:
            raise NobodyListens from error
        except _FAILURES as error:
            raise NoAnswer from error

    async def ping(self) -> None:
        """Ask NATS for a sign of life.

        Raises:
            LinkDown: none came in time.
        """
        client = self._client
        if client is None:
            raise LinkDown
        try:
            async with asyncio.timeout(_CALL_WITHIN_S):
                await client.rtt()
        except _FAILURES as error:
            self._doubt.set()
            raise LinkDown from error

    async def _connect(self) -> NatsClient:
        client = NatsClient()
        try:
            await client.connect(
                self._servers,
                name="latchkey",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(_CALL_WITHIN_S),
                no_echo=True,
                error_cb=_note,
                closed_cb=self._note_closed,
            )
        except BaseException:
            await _close(client)
            raise
        return client

    async def _use(self, client: NatsClient) -> None:
        """Have the connection do its work, until it is no good any more."""
        self._subscriptions.clear()
        while not self._unsent.empty():
            self._unsent.get_nowait()
            self._unsent.task_done()
        self._client = client
        writer = asyncio.create_task(self._write_forever(client))
        try:
            async with asyncio.timeout(_CONNECT_WITHIN_S):
                for subject, take in list(self._listening.items()):
                    await self._subscribe(client, subject, take)
                await client.rtt()
            log.info("nats_up", subjects=len(self._listening))
            self._up.set()
            while client.is_connected:
                self._doubt.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CHECK_EVERY_S):
                        await self._doubt.wait()
                # Not flush(), which finds all well where nobody reads any more.
                async with asyncio.timeout(_CALL_WITHIN_S):
                    await client.rtt()
                _heed_cancellation()
        except _FAILURES as error:
            log.info("nats_failed", error=type(error).__name__)
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN_S if client.is_connected else 0):
                    await self._unsent.join()
            writer.cancel()
            await asyncio.wait({writer}, timeout=_CLOSE_WITHIN_S)

    async def _write_forever(self, client: NatsClient) -> None:
        while True:
            subject, message = await self._unsent.get()
            try:
                await client.publish(subject, message)
            except _FAILURES:
                self._doubt.set()
            finally:
                self._unsent.task_done()
            _heed_cancellation()

    async def _subscribe(self, client: NatsClient, subject: str, take: Take) -> None:
        if subject in self._subscriptions:
            return

        async def taken(message: Msg) -> None:
            take(message.data, message.reply, (message.headers or {}).get(_TRACE))

        self._subscriptions[subject] = await client.subscribe(
            subject,
            cb=taken,
            pending_msgs_limit=_MOST_UNREAD,
            pending_bytes_limit=_MOST_UNREAD_BYTES,
        )
        if subject not in self._listening:  # given up while we waited
            await self.unlisten(subject)

    async def _note_closed(self) -> None:
        self._doubt.set()


def _heed_cancellation() -> None:
    """End this task, if it was told to while the client was at work, which swallows that."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _note(error: Exception) -> None:
    """The client's own word on what went wrong; its text may name the URL, so it is left out."""
    log.info("nats_error", error=type(error).__name__)


async def _close(client: NatsClient) -> None:
    """Close a connection, within a time that the client itself may not keep to."""
    closing = asyncio.create_task(client.close())
    await asyncio.wait({closing}, timeout=_CLOSE_WITHIN_S)
    transport: Any = client._transport  # pyright: ignore[reportPrivateUsage]  # what it hangs on
    if transport is not None:
        transport.close()
    for _ in range(_TIMES_TOLD_TO_END):  # it swallows that now and then
        closing.cancel()
        await asyncio.wait({closing}, timeout=_CLOSE_WITHIN_S)
        if closing.done():
            break
    if closing.done() and not closing.cancelled() and (error := closing.exception()) is not None:
        log.info("nats_not_closed", error=type(error).__name__)
