"""What any bus does, in one process or over a real NATS: requests find a lock, news gets around."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from tornado.ioloop import IOLoop

from server.bus.base import Bus, CommandNews
from server.bus.embedded_nats import EmbeddedNats
from server.bus.local_bus import LocalBus
from server.bus.nats_bus import NatsBus
from server.bus.nats_link import NatsLink
from server.domain.commands import CommandState, OpenCommand
from server.domain.errors import (
    ChannelClosed,
    LatchkeyError,
    LockOffline,
    LockTakesNoKeys,
    StorageUnavailable,
)
from server.domain.locks import StoredKey
from server.domain.protocol import KeyAction

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
COMMAND = OpenCommand(id="c1", org_id="org", lock_id=17, requested_at=NOW, expires_at=NOW)
QUEUED = CommandNews(command_id="c1", state=CommandState.QUEUED)
SENT = CommandNews(command_id="c1", state=CommandState.SENT)
KEY = StoredKey(uuid="card", index_number=3)
WITHIN_S = 20


class Nodes(NamedTuple):
    """The bus of the node that holds a lock, and of the one that asks for it."""

    holding: Bus
    asking: Bus


class Session:
    """Takes requests, as a lock's session does."""

    def __init__(self, error: LatchkeyError | None = None) -> None:
        self.taken: list[str] = []
        self._error = error

    async def open(self, command: OpenCommand) -> OpenCommand:
        await self.open_stored(command.id)
        return command

    async def open_stored(self, command_id: str) -> None:
        if self._error is not None:
            raise self._error
        self.taken.append(command_id)

    def send_key(self, action: KeyAction, key: StoredKey) -> None:
        if self._error is not None:
            raise self._error
        self.taken.append(f"{action.value} {key.uuid} {key.index_number}")


async def not_recorded(command: OpenCommand) -> None:
    """The store, for a test in which it plays no part."""


@asynccontextmanager
async def two_nodes(kind: str, nats: EmbeddedNats) -> AsyncIterator[Nodes]:
    if kind == "local":
        bus = LocalBus()
        yield Nodes(bus, bus)
        return
    buses = [NatsBus(NatsLink(nats.url), "test") for _ in range(2)]
    running = [asyncio.create_task(bus.run_forever()) for bus in buses]
    for bus in buses:
        assert await bus.until_up(WITHIN_S)
        await bus.ping()
    try:
        yield Nodes(*buses)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture(params=["local", "nats"])
def nodes(
    request: pytest.FixtureRequest, io_loop: IOLoop, nats_server: EmbeddedNats
) -> Iterator[Nodes]:
    running = two_nodes(request.param, nats_server)
    yield io_loop.run_sync(running.__aenter__)
    io_loop.run_sync(lambda: running.__aexit__(None, None, None))


async def open_by(nodes: Nodes) -> None:
    await nodes.asking.request_open(COMMAND, not_recorded)


# Commands


async def test_a_command_to_a_lock_that_nobody_serves_finds_it_offline(nodes: Nodes):
    with pytest.raises(LockOffline):
        await open_by(nodes)


async def test_a_command_is_taken_by_the_session_of_its_lock(nodes: Nodes):
    session, other = Session(), Session()
    await nodes.holding.serve_lock(17, session)
    await nodes.holding.serve_lock(18, other)
    await open_by(nodes)
    assert (session.taken, other.taken) == (["c1"], [])


async def test_a_new_session_takes_the_place_of_the_old_one(nodes: Nodes):
    old, new = Session(), Session()
    await nodes.holding.serve_lock(17, old)
    await nodes.holding.serve_lock(17, new)
    await open_by(nodes)
    assert (old.taken, new.taken) == ([], ["c1"])


async def test_a_lock_that_was_released_is_offline(nodes: Nodes):
    session = Session()
    await nodes.holding.serve_lock(17, session)
    await nodes.holding.release_lock(17, session)
    with pytest.raises(LockOffline):
        await open_by(nodes)


async def test_the_late_release_of_an_old_session_changes_nothing(nodes: Nodes):
    old, new = Session(), Session()
    await nodes.holding.serve_lock(17, old)
    await nodes.holding.serve_lock(17, new)
    await nodes.holding.release_lock(17, old)
    await open_by(nodes)
    assert new.taken == ["c1"]


async def test_releasing_a_lock_that_nobody_serves_does_nothing(nodes: Nodes):
    await nodes.holding.release_lock(17, Session())


async def test_what_the_session_could_not_do_reaches_whoever_asked(nodes: Nodes):
    await nodes.holding.serve_lock(17, Session(StorageUnavailable()))
    with pytest.raises(StorageUnavailable):
        await open_by(nodes)


# Physical keys


async def test_a_key_reaches_the_session_of_its_lock(nodes: Nodes):
    session = Session()
    await nodes.holding.serve_lock(17, session)
    await nodes.asking.request_key(17, KeyAction.WRITE, KEY)
    assert session.taken == ["write card 3"]


async def test_a_key_for_a_lock_that_nobody_serves_finds_it_offline(nodes: Nodes):
    with pytest.raises(LockOffline):
        await nodes.asking.request_key(17, KeyAction.REMOVE, KEY)


@pytest.mark.parametrize("error", [LockTakesNoKeys(), ChannelClosed("gone")])
async def test_why_a_lock_cannot_be_told_of_a_key_reaches_whoever_asked(
    nodes: Nodes, error: LatchkeyError
):
    await nodes.holding.serve_lock(17, Session(error))
    with pytest.raises(type(error)):
        await nodes.asking.request_key(17, KeyAction.WRITE, KEY)


# News of commands


async def test_a_watcher_hears_of_each_change_in_order(nodes: Nodes):
    with nodes.asking.watch("c1") as changes:
        nodes.holding.announce(QUEUED)
        nodes.holding.announce(SENT)
        assert await changes.wait(WITHIN_S) == QUEUED
        assert await changes.wait(WITHIN_S) == SENT


async def test_a_watcher_that_waits_already_is_woken(nodes: Nodes):
    with nodes.asking.watch("c1") as changes:
        waiting = asyncio.create_task(changes.wait(WITHIN_S))
        await asyncio.sleep(0)
        nodes.holding.announce(SENT)
        assert await waiting == SENT


async def test_a_watcher_is_told_when_nothing_comes_in_time(nodes: Nodes):
    with nodes.asking.watch("c1") as changes:
        assert await changes.wait(0.01) is None


async def test_a_change_that_comes_after_a_wait_in_vain_is_not_lost(nodes: Nodes):
    with nodes.asking.watch("c1") as changes:
        assert await changes.wait(0) is None
        nodes.holding.announce(SENT)
        assert await changes.wait(WITHIN_S) == SENT


async def test_every_watcher_of_a_command_hears_of_it_once(nodes: Nodes):
    with nodes.asking.watch("c1") as one, nodes.holding.watch("c1") as other:
        nodes.holding.announce(SENT)
        nodes.holding.announce(QUEUED)
        for changes in (one, other):
            assert await changes.wait(WITHIN_S) == SENT
            assert await changes.wait(WITHIN_S) == QUEUED


async def test_a_watcher_does_not_hear_of_other_commands(nodes: Nodes):
    with nodes.asking.watch("c2") as others, nodes.asking.watch("c1") as changes:
        nodes.holding.announce(SENT)
        assert await changes.wait(WITHIN_S) == SENT
        assert await others.wait(0) is None


async def test_what_was_announced_before_is_not_heard(nodes: Nodes):
    with nodes.asking.watch("c1") as before:
        nodes.holding.announce(QUEUED)
        await before.wait(WITHIN_S)
    with nodes.asking.watch("c1") as changes:
        assert await changes.wait(0) is None


async def test_whoever_stops_watching_hears_no_more(nodes: Nodes):
    with nodes.asking.watch("c1") as gone:
        pass
    with nodes.asking.watch("c1") as staying:
        nodes.holding.announce(SENT)
        assert await staying.wait(WITHIN_S) == SENT
        assert await gone.wait(0) is None


# News of locks


async def test_every_node_looks_at_a_lock_that_was_changed(nodes: Nodes):
    looked = [asyncio.Queue[int](), asyncio.Queue[int]()]
    for bus, seen in zip({nodes.holding, nodes.asking}, looked, strict=False):
        bus.on_lock_changed(seen.put_nowait)
    nodes.asking.lock_changed(17)
    for seen in looked[: len({nodes.holding, nodes.asking})]:
        async with asyncio.timeout(WITHIN_S):
            assert await seen.get() == 17
