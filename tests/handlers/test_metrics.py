"""What Prometheus is told, and who else is not."""

from collections.abc import Iterator

import pytest
from msgspec import structs
from prometheus_client.parser import text_string_to_metric_families
from tornado.ioloop import IOLoop
from websockets.exceptions import InvalidStatus

from server import __version__
from server.settings import Settings
from tests.conftest import METRICS_TOKEN
from tests.house import House, command_id_of, until
from tests.journeys.bare_lock import BareLock
from tests.receiver import Receiver

Counted = dict[tuple[str, str], float]
"""Each series: its name, the values of its labels, and its own value."""


async def counted(house: House) -> Counted:
    """What the server says to who has the token."""
    answer = await house.fetch("/metrics", Authorization=f"Bearer {METRICS_TOKEN}")
    assert answer.status == 200
    assert answer.response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.response.body.decode())
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


async def until_counted(house: House, name: str, labels: str = "", least: float = 1) -> Counted:
    """Wait until a metric is that high."""

    async def look() -> Counted | None:
        found = await counted(house)
        return found if found.get((name, labels), 0) >= least else None

    return await until(look)


# Who is told


async def test_without_the_token_or_with_another_nobody_is_told(house: House):
    without = await house.fetch("/metrics")
    wrong = await house.fetch("/metrics", Authorization=f"Bearer {METRICS_TOKEN}!")
    operator = await house.manage("GET", "/metrics")
    for refused in (without, wrong, operator):
        assert refused.status == 401
        assert refused.json()["reason"] == "unauthenticated"
        assert b"latchkey_" not in refused.response.body


class TestWithoutAToken:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return structs.replace(settings, metrics_token=None)

    async def test_a_server_that_has_no_token_tells_nobody(self, house: House):
        empty = await house.fetch("/metrics", Authorization="Bearer ")
        none = await house.fetch("/metrics", Authorization="Bearer None")
        assert (empty.status, none.status) == (404, 404)
        assert none.json()["reason"] == "metrics_off"


# What is counted


async def test_an_opening_is_counted_with_how_long_its_stages_took(house: House):
    lock = await house.lock()
    key = await house.key(lock)
    async with lock.connected():
        tapped = await house.tap_open(key)
        await house.until_state(command_id_of(tapped), "opened")
        found = await counted(house)
        assert found["latchkey_locks_online", ""] == found["latchkey_connections", ""] == 1
    for stage in ("claim", "sent", "accepted", "opened"):
        assert found["latchkey_command_stage_seconds_count", stage] == 1
    assert found["latchkey_opening_seconds_count", ""] == 1
    parts = [found["latchkey_command_stage_seconds_sum", each] for each in ("sent", "accepted")]
    assert 0 < sum(parts) < found["latchkey_opening_seconds_sum", ""]
    assert found["latchkey_commands_total", "opened"] == 1
    assert found["latchkey_commands_total", "failed"] == 0


async def test_an_opening_that_was_refused_is_counted_as_that(house: House):
    lock = await house.lock()
    answer = await house.manage("POST", f"/locks/{lock.lock_id}/OpenLock", {})
    found = await counted(house)
    assert answer.status == 502
    assert found["latchkey_commands_total", "refused"] == 1
    assert found["latchkey_opening_seconds_count", ""] == 0


async def test_locks_that_went_offline_are_counted_by_reason(house: House, settings: Settings):
    lock = BareLock(house.url, await house.device())
    async with lock.online():
        pass
    await until_counted(house, "latchkey_offline_transitions_total", "closed")
    async with lock.online() as connection:
        connection.stop_reading()
        found = await until_counted(house, "latchkey_offline_transitions_total", "timeout")
    silent_for = found["latchkey_presence_detection_seconds_sum", ""]
    assert 0 < silent_for <= settings.offline_after_s
    assert found["latchkey_presence_detections_late_total", ""] == 0


async def test_locks_that_are_offline_are_shown_by_reason(house: House):
    left, stays, *_never_online = [await house.device() for _ in range(4)]
    async with BareLock(house.url, stays).online():
        async with BareLock(house.url, left).online():
            pass
        await house.until_offline(left)
        found = await counted(house)
    assert found["latchkey_locks_offline", "never"] == 2
    assert found["latchkey_locks_offline", "closed"] == 1
    assert found["latchkey_locks_offline", "timeout"] == 0


async def test_reports_are_counted_as_they_come_in_and_as_they_are_stored(house: House):
    lock = BareLock(house.url, await house.device())
    async with lock.online() as connection:
        for seq in (1, 2, 1):
            await connection.reading(seq, battery=50)
            await connection.hear("ack")

        # The lock's own document is written after the ack.
        async def none_waits() -> Counted | None:
            found = await counted(house)
            return found if found["latchkey_reports_waiting", ""] == 0 else None

        found = await until(none_waits)
    assert found["latchkey_reports_received_total", ""] == 3
    assert found["latchkey_reports_stored_total", ""] == 2
    assert found["latchkey_reports_duplicate_total", ""] == 1
    assert found["latchkey_reports_storing_seconds_count", ""] == 3


class TestLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return structs.replace(settings, most_locks=1, frame_burst=10, frames_a_second=1)

    async def test_frames_over_the_limit_and_locks_sent_away_are_counted(self, house: House):
        lock, other = [BareLock(house.url, await house.device()) for _ in range(2)]
        async with lock.online() as connection:
            with pytest.raises(InvalidStatus):
                async with other.connection():
                    pass
            connection.shout({"type": "time", "t": 1}, times=30)
            assert await connection.closed() == 4008
        found = await counted(house)
        assert found["latchkey_connects_refused_total", "full"] == 1
        assert found["latchkey_protocol_errors_total", "too_many_frames"] == 1
        assert found["latchkey_connections_limit", ""] == 1


@pytest.fixture
def receiver(io_loop: IOLoop) -> Iterator[Receiver]:
    async def start() -> Receiver:
        return Receiver()

    receiver = io_loop.run_sync(start)
    yield receiver
    io_loop.run_sync(receiver.close)


async def test_events_sent_to_webhooks_are_counted(house: House, receiver: Receiver):
    body = {"url": f"{receiver.url}/hook", "events": ["TempKeyCreated"]}
    assert (await house.manage("POST", "/webhooks", body)).status == 201
    await house.key(await house.lock())
    found = await until_counted(house, "latchkey_webhook_tries_total", "delivered")
    assert found["latchkey_webhook_locks_waiting", ""] == 0


async def test_answers_are_counted_by_their_status(house: House):
    await house.fetch("/nowhere")
    found = await counted(house)
    assert found["latchkey_http_requests_total", "404"] == 1


async def test_the_parts_of_the_node_are_shown_as_they_are(house: House):
    found = await until_counted(house, "latchkey_event_loop_lag_seconds_count")
    assert found["latchkey_part_up", "mongodb"] == 1
    assert found["latchkey_part_latency_seconds", "mongodb"] > 0
    assert ("latchkey_part_up", "nats") not in found
    assert found["latchkey_build_info", __version__] == 1


async def test_nothing_of_the_machine_or_its_python_is_told(house: House):
    assert {name for name, _ in await counted(house) if not name.startswith("latchkey_")} == set()
