"""Whoever reads the log stands still: doors open all the same, and what is missing is told."""

import asyncio
import json
import os
from typing import Any

import psutil

from tests.conftest import METRICS_TOKEN
from tests.faults.processes import Site
from tests.house import command_id_of

MEGABYTE = 1024 * 1024
LONG_PATH = "/" + "x" * 30_000
REQUESTS = 300
"""Each leaves a line with its path, together twice what may wait."""


async def test_a_log_that_nobody_reads_holds_no_door_up_and_tells_later_what_is_missing(
    site: Site,
) -> None:
    reads, site.server.writes_to = os.pipe()
    await site.server.start(metrics_token=METRICS_TOKEN)
    os.close(site.server.writes_to)
    lock = await site.lock_online()
    key = await site.key(lock)
    memory = psutil.Process(site.server.pid).memory_info().rss
    for _ in range(REQUESTS):
        assert (await site.fetch(LONG_PATH)).status == 404
    tapped = await site.tap_open(key)
    await site.until_state(command_id_of(tapped), "opened")
    grown = psutil.Process(site.server.pid).memory_info().rss - memory
    metrics = await site.fetch("/metrics", Authorization=f"Bearer {METRICS_TOKEN}")
    lines = await asyncio.to_thread(read_up_to, reads, "log_lines_dropped")
    [counted] = [
        line.split()[1]
        for line in metrics.response.body.decode().splitlines()
        if line.startswith("latchkey_log_lines_dropped_total ")
    ]
    assert lock.openings() == [command_id_of(tapped)]
    assert 0 < float(counted) <= lines[-1]["lines"] < REQUESTS
    assert grown < 16 * MEGABYTE


def read_up_to(reads: int, event: str) -> list[dict[str, Any]]:
    """All lines of the log up to this event."""
    lines: list[dict[str, Any]] = []
    with os.fdopen(reads, "rb") as log:
        for line in log:
            lines.append(json.loads(line))
            if lines[-1]["event"] == event:
                break
    return lines
