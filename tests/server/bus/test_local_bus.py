"""The bus of a single process, where it differs from that of many."""

from server.bus.base import CommandNews
from server.bus.local_bus import LocalBus
from server.domain.commands import CommandState


async def test_a_watcher_that_never_reads_keeps_the_newest_changes_only():
    bus = LocalBus()
    states = [CommandState.QUEUED] * 84 + [CommandState.SENT] * 16
    with bus.watch("c1") as changes:
        for state in states:
            bus.announce(CommandNews(command_id="c1", state=state))
        kept = [await changes.wait(0) for _ in range(17)]
    assert [news and news.state for news in kept] == [CommandState.SENT] * 16 + [None]


async def test_taking_a_lock_has_nobody_look_at_it_where_there_is_no_other_node():
    bus = LocalBus()
    looked: list[int] = []
    bus.on_lock_changed(looked.append)
    bus.lock_taken(17)
    assert looked == []
