"""The bus of several nodes: their own locks as in one process, all others over NATS."""

import asyncio
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Never

import msgspec
import structlog

from server import clock, tracing
from server.bus.base import Changes, CommandNews, HeldLock, LookAt, Record
from server.bus.local_bus import LocalBus
from server.bus.messages import Answer, KeyRequest, LockNews, OpenRequest, Request
from server.bus.nats_link import LinkDown, NatsLink, NoAnswer, NobodyListens
from server.domain.commands import OpenCommand
from server.domain.errors import (
    ChannelClosed,
    LatchkeyError,
    LockOffline,
    LockTakesNoKeys,
    LockUnreachable,
    StorageUnavailable,
)
from server.domain.locks import StoredKey
from server.domain.protocol import KeyAction

log = structlog.get_logger(__name__)

_ANSWER_WITHIN_S = 2.0
_MOST_IN_HAND = 500
"""As many requests of other nodes are dealt with at once; more get no answer, and nothing is done
about them."""

_encode = msgspec.json.Encoder().encode
_read_request = msgspec.json.Decoder[Request](Request).decode
_read_answer = msgspec.json.Decoder(Answer).decode
_read_command_news = msgspec.json.Decoder(CommandNews).decode
_read_lock_news = msgspec.json.Decoder(LockNews).decode


class NatsBus:
    """Hands requests and news over between nodes; see ``server.bus.base.Bus``.

    Each lock has a subject, on which the node that holds it listens; NATS itself knows where
    nobody does. All nodes of an installation share ``prefix``, and no other has it.
    """

    def __init__(self, link: NatsLink, prefix: str) -> None:
        self._link = link
        self._local = LocalBus()
        self._lock_subject = f"{prefix}.v1.lock"
        self._command_news = f"{prefix}.v1.news.commands"
        self._lock_news = f"{prefix}.v1.news.locks"
        self._in_hand = 0
        self._tasks: asyncio.TaskGroup | None = None

    async def run_forever(self) -> None:
        """Take part: run as a task of the node."""
        await self._link.listen(self._command_news, self._take_command_news)
        await self._link.listen(self._lock_news, self._take_lock_news)
        async with asyncio.TaskGroup() as self._tasks:
            await self._link.run_forever()

    async def until_up(self, within_s: float) -> bool:
        """Wait for NATS, at most ``within_s`` seconds; whether it is there."""
        return await self._link.until_up(within_s)

    async def ping(self) -> None:
        """Ask NATS for a sign of life.

        Raises:
            LockUnreachable: none came in time.
        """
        try:
            await self._link.ping()
        except LinkDown as error:
            raise LockUnreachable from error

    # Requests

    async def serve_lock(self, lock_id: int, held: HeldLock) -> None:
        """Take the lock's requests from now on, instead of whoever took them on this node.

        When this returns, other nodes find it here, if NATS is there.
        """
        await self._local.serve_lock(lock_id, held)

        def take(message: bytes, answer_to: str, carried: str | None) -> None:
            self._take_request(lock_id, message, answer_to, carried)

        await self._link.listen(self._subject_of(lock_id), take)

    async def release_lock(self, lock_id: int, held: HeldLock) -> None:
        """Take no more of the lock's requests, unless another session took over already."""
        await self._local.release_lock(lock_id, held)
        if not self._local.serves(lock_id):
            await self._link.unlisten(self._subject_of(lock_id))

    async def request_open(self, command: OpenCommand, record: Record) -> None:
        """Have the lock's session take a command to it, here or on another node.

        Raises:
            LockOffline: no node serves the lock; nothing was sent.
            LockUnreachable: that is not known here.
            StorageUnavailable: the command could not be recorded; nothing was sent.
        """
        try:
            await self._local.request_open(command, record)
        except LockOffline:
            if not self._link.is_up:
                raise LockUnreachable from None
            await record(command)
            await self._ask(command.lock_id, OpenRequest(command_id=command.id))

    async def request_key(self, lock_id: int, action: KeyAction, key: StoredKey) -> None:
        """Have the lock's session tell it of a physical key, here or on another node.

        Raises:
            LockOffline: no node serves the lock.
            LockTakesNoKeys, ChannelClosed: it cannot be told.
            LockUnreachable: that is not known here.
        """
        try:
            await self._local.request_key(lock_id, action, key)
        except LockOffline:
            expires_at = clock.now() + timedelta(seconds=_ANSWER_WITHIN_S)
            request = KeyRequest(action=action, key=key, expires_at=expires_at)
            await self._ask(lock_id, request)

    async def _ask(self, lock_id: int, request: Request) -> None:
        with tracing.asking("ask the lock's node", "nats", lock=lock_id):
            try:
                answer = await self._link.request(
                    self._subject_of(lock_id), _encode(request), _ANSWER_WITHIN_S
                )
            except NobodyListens as error:
                raise LockOffline from error
            except (LinkDown, NoAnswer) as error:
                raise LockUnreachable from error
            try:
                error = _read_answer(answer).error
            except msgspec.DecodeError as not_understood:
                raise LockUnreachable from not_understood  # it may have been done all the same
            if error is not None:
                _raise(error)

    def _take_request(
        self, lock_id: int, message: bytes, answer_to: str, carried: str | None
    ) -> None:
        if self._tasks is None or self._in_hand >= _MOST_IN_HAND:
            log.warning("requests_not_answered", lock=lock_id)
            return
        self._in_hand += 1
        self._tasks.create_task(self._answer(lock_id, message, answer_to, carried))

    async def _answer(
        self, lock_id: int, message: bytes, answer_to: str, carried: str | None
    ) -> None:
        try:
            with tracing.entered("act for another node", carried, lock=lock_id):
                await self._do(lock_id, _read_request(message))
            answer = Answer()
        except LockOffline:
            return  # only the node that has the lock answers, and this one has it no longer
        except LatchkeyError as error:
            answer = Answer(error=error.reason)
        except msgspec.DecodeError:
            log.warning("request_not_understood", lock=lock_id)
            return
        except Exception:
            log.exception("request_failed", lock=lock_id)
            return
        finally:
            self._in_hand -= 1
        self._link.publish(answer_to, _encode(answer))

    async def _do(self, lock_id: int, request: Request) -> None:
        held = self._local.held(lock_id)
        match request:
            case OpenRequest():
                await held.open_stored(request.command_id)
            case KeyRequest():
                if clock.now() < request.expires_at:
                    held.send_key(request.action, request.key)

    def _subject_of(self, lock_id: int) -> str:
        return f"{self._lock_subject}.{lock_id}"

    # News

    def announce(self, news: CommandNews) -> None:
        """Tell whoever watches the command, on any node, that it has come to a state."""
        self._local.announce(news)
        self._link.publish(self._command_news, _encode(news))

    def watch(self, command_id: str) -> AbstractContextManager[Changes]:
        """Listen to one command's changes, from the moment the context is entered."""
        return self._local.watch(command_id)

    def lock_changed(self, lock_id: int) -> None:
        """Have every node look how a lock stands."""
        self._local.lock_changed(lock_id)
        self.lock_taken(lock_id)

    def lock_taken(self, lock_id: int) -> None:
        """Have every other node look how a lock stands."""
        self._link.publish(self._lock_news, _encode(LockNews(lock_id=lock_id)))

    def on_lock_changed(self, look_at: LookAt) -> None:
        """Call ``look_at`` with each lock that any node says has changed."""
        self._local.on_lock_changed(look_at)

    def _take_command_news(self, message: bytes, *_: object) -> None:
        try:
            self._local.announce(_read_command_news(message))
        except msgspec.DecodeError:
            log.info("news_not_understood")  # the store tells the same, a little later

    def _take_lock_news(self, message: bytes, *_: object) -> None:
        try:
            self._local.lock_changed(_read_lock_news(message).lock_id)
        except msgspec.DecodeError:
            log.info("news_not_understood")


def _raise(reason: str) -> Never:
    errors = (StorageUnavailable, LockTakesNoKeys)
    for error in errors:
        if error.reason == reason:
            raise error
    if reason == ChannelClosed.reason:
        raise ChannelClosed("the connection is gone")
    raise LockUnreachable
