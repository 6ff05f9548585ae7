"""Every metric that Prometheus may ask for: its name, what it means, and where its value is read.

Times are in seconds. No label has an id in it: what a label may say is known beforehand.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from server import __version__
from server.domain.commands import SHOWN_AS_FINAL, CommandState, OpenCommand, last_stage
from server.domain.locks import NEVER_CONNECTED, OfflineReason
from server.domain.webhooks import DeliveryState
from server.services.health import Health, PartHealth

_STAGES = ("claim", CommandState.SENT, CommandState.ACCEPTED, CommandState.OPENED)
_REFUSALS = ("draining", "full", "pace")
_OFFLINE = (*OfflineReason, NEVER_CONNECTED)
_OVER_THE_LIMIT = "too_many_frames"
_QUICK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLOW_S = (1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 300)

disable_created_metrics()  # a second series for each counter, which nobody asks for

Read = Callable[[], float]


class ReadAtScrape(Struct, frozen=True, kw_only=True):
    """What is read when Prometheus asks, and counted by nobody before."""

    locks_online: Read
    connections: Read
    connections_limit: float
    reports_waiting: Read
    reports_waiting_limit: float
    webhook_locks_waiting: Read
    log_lines_dropped: Read


class Described(Struct, frozen=True, kw_only=True):
    """One metric, as the reference shows it: ``labels`` with the values that they start with."""

    name: str
    kind: str
    meaning: str
    labels: dict[str, list[str]]


class PrometheusMetrics:
    """This node's metrics; see ``server.services.metrics.Metrics`` for the methods.

    They are in a registry of their own: those that the library would add by itself tell of the
    machine and its Python, which is for others to tell.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._labels: dict[str, tuple[str, ...]] = {}
        self._started = self._gauge(
            "latchkey_start_time_seconds", "When this node started, as Unix time."
        )
        self._started.set(time.time())
        self._build = self._gauge("latchkey_build_info", "Always 1.", "version")
        self._build.labels(__version__).set(1)

        self._keys_at_risk = self._gauge(
            "latchkey_keys_at_risk",
            "Keys that begin within three days on a lock in trouble, 500 at most; each node says "
            "the same, half a minute late at most. `NaN` where MongoDB has never answered.",
        )
        self._requests = self._counter(
            "latchkey_http_requests_total", "Requests answered, by HTTP status.", "status"
        )
        self._loop_lag = self._histogram(
            "latchkey_event_loop_lag_seconds",
            "How late a timer of the event loop ran, four times a second.",
        )
        self._part_up = self._gauge(
            "latchkey_part_up",
            "1 where the part answers within a second, by `part`: `mongodb` (as primary), `nats` "
            "(if configured), `event_loop`.",
            "part",
        )
        self._part_latency = self._gauge(
            "latchkey_part_latency_seconds",
            "How long the part took to answer; absent while it does not. For the event loop, how "
            "late it was at worst in the last five seconds.",
            "part",
        )

        self._locks_online = self._gauge(
            "latchkey_locks_online", "Locks that are online at this node; add the nodes up."
        )
        self._locks_offline = self._gauge(
            "latchkey_locks_offline",
            "Locks that are offline, by reason (`never`: not online yet), of all nodes; each node "
            "says the same, half a minute late at most. `NaN` where MongoDB has never answered.",
            "reason",
        )
        for reason in _OFFLINE:
            self._locks_offline.labels(reason).set(math.nan)
        self._connections = self._gauge(
            "latchkey_connections", "Connections of locks at this node, welcomed or not yet."
        )
        self._connections_limit = self._gauge(
            "latchkey_connections_limit", "How many it takes (`LATCHKEY_MOST_LOCKS`)."
        )
        refused = self._counter(
            "latchkey_connects_refused_total",
            "Locks that were told to connect later, by `why`: this node is `draining`, `full`, or "
            "too many came at once (`pace`).",
            "why",
        )
        self._refused = {why: refused.labels(why) for why in _REFUSALS}
        offline = self._counter(
            "latchkey_offline_transitions_total", "Locks that went offline, by reason.", "reason"
        )
        self._offline = {reason: offline.labels(reason) for reason in OfflineReason}
        self._silence = self._histogram(
            "latchkey_presence_detection_seconds",
            "How long a lock had been silent when it was cut for that.",
            buckets=_SLOW_S,
        )
        self._silence_late = self._counter(
            "latchkey_presence_detections_late_total",
            "Locks that were cut later than the time that is promised.",
        )
        self._protocol_errors = self._counter(
            "latchkey_protocol_errors_total",
            "Connections of locks that were closed because of what the lock sent, by `code` of "
            f"the lock protocol; `{_OVER_THE_LIMIT}`: more frames than it may send.",
            "code",
        )
        self._protocol_errors.labels(_OVER_THE_LIMIT)

        commands = self._counter(
            "latchkey_commands_total",
            "Open commands by how they ended. One that was `unconfirmed` is counted again as what "
            "its lock says later.",
            "outcome",
        )
        self._commands = {state: commands.labels(state) for state in sorted(SHOWN_AS_FINAL)}
        stages = self._histogram(
            "latchkey_command_stage_seconds",
            "How long each stage of an opening took: taking the use (`claim`), from then until "
            "the lock was `sent` the command, until it had `accepted` it, until it had `opened`.",
            "stage",
        )
        self._stages = {stage: stages.labels(stage) for stage in _STAGES}
        self._opening = self._histogram(
            "latchkey_opening_seconds", "From the tap until the lock had opened."
        )

        self._received = self._counter(
            "latchkey_reports_received_total", "Reports (readings and events) that locks sent."
        )
        self._stored = self._counter(
            "latchkey_reports_stored_total", "Reports that were stored, each once."
        )
        self._known = self._counter(
            "latchkey_reports_duplicate_total", "Reports that were stored before."
        )
        self._storing = self._histogram(
            "latchkey_reports_storing_seconds",
            "How long reports waited until they were durable; the longest of each write.",
        )
        self._waiting = self._gauge(
            "latchkey_reports_waiting", "Reports that wait in memory to be stored."
        )
        self._waiting_limit = self._gauge(
            "latchkey_reports_waiting_limit",
            "At how many no more are read (`LATCHKEY_MOST_WAITING_REPORTS`).",
        )

        tries = self._counter(
            "latchkey_webhook_tries_total",
            "Events sent to webhooks' receivers, by what came of it: `delivered`, `waiting` for "
            "the next try, or given up (`failed`).",
            "outcome",
        )
        self._tries = {state: tries.labels(state) for state in DeliveryState}
        self._webhook_locks_waiting = self._gauge(
            "latchkey_webhook_locks_waiting",
            "Locks of which an event waits for its next try, over the webhooks of this node.",
        )

        self._lines_dropped = self._counter(
            "latchkey_log_lines_dropped_total",
            "Log lines that nobody will read, because their reader stood still.",
        )
        self._lines_dropped_so_far: Read = lambda: 0
        self._lines_dropped_counted = 0.0

    # Facts, as they happen

    def request_answered(self, status: int) -> None:
        self._requests.labels(str(status)).inc()

    def connect_refused(self, why: str) -> None:
        self._refused[why].inc()

    def went_offline(self, reason: OfflineReason, locks: int = 1) -> None:
        self._offline[reason].inc(locks)

    def silence_noticed(self, after_s: float, bound_s: float) -> None:
        self._silence.observe(after_s)
        if after_s > bound_s:
            self._silence_late.inc()

    def protocol_broken(self, code: str) -> None:
        self._protocol_errors.labels(code).inc()

    def use_claimed(self, took_s: float) -> None:
        self._stages["claim"].observe(took_s)

    def command_stepped(self, command: OpenCommand) -> None:
        began = command.requested_at
        before, now = last_stage(command)
        if (stage := self._stages.get(command.state)) is not None:
            stage.observe((now - before).total_seconds())
        if (outcome := self._commands.get(command.state)) is not None:
            outcome.inc()
        if command.state is CommandState.OPENED:
            self._opening.observe((now - began).total_seconds())

    def reports_received(self, count: int) -> None:
        self._received.inc(count)

    def reports_stored(self, new: int, known: int, waited_s: float) -> None:
        self._stored.inc(new)
        self._known.inc(known)
        self._storing.observe(waited_s)

    def delivery_tried(self, state: DeliveryState) -> None:
        self._tries[state].inc()

    def loop_was_late(self, by_s: float) -> None:
        self._loop_lag.observe(by_s)

    # When they are asked for

    def read(self, source: ReadAtScrape) -> None:
        """From now on read what nobody counts from there."""
        self._locks_online.set_function(source.locks_online)
        self._connections.set_function(source.connections)
        self._connections_limit.set(source.connections_limit)
        self._waiting.set_function(source.reports_waiting)
        self._waiting_limit.set(source.reports_waiting_limit)
        self._webhook_locks_waiting.set_function(source.webhook_locks_waiting)
        self._lines_dropped_so_far = source.log_lines_dropped

    def page(self, health: Health, locks_offline: Mapping[str, int] | None) -> bytes:
        """All metrics, as Prometheus reads them, with the health of this node's parts.

        ``locks_offline`` are counted by reason, of the whole installation; None: unknown.
        """
        if locks_offline is not None:
            for reason in _OFFLINE:
                self._locks_offline.labels(reason).set(locks_offline.get(reason, 0))
        self._part_up.clear()
        self._part_latency.clear()
        parts = {"mongodb": health.mongodb, "nats": health.nats, "event_loop": health.event_loop}
        for name, part in parts.items():
            if isinstance(part, PartHealth):
                self._part_up.labels(name).set(part.ok)
                if part.latency_ms is not None:
                    self._part_latency.labels(name).set(part.latency_ms / 1000)
        at_risk = health.keys_at_risk
        self._keys_at_risk.set(math.nan if at_risk is None else at_risk)
        lines_dropped = self._lines_dropped_so_far()
        self._lines_dropped.inc(lines_dropped - self._lines_dropped_counted)
        self._lines_dropped_counted = lines_dropped
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Described]:
        """Each metric, for the reference and for those who check names against it."""
        for family in self._registry.collect():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {
                label: list(
                    dict.fromkeys(
                        sample.labels[label] for sample in family.samples if label in sample.labels
                    )
                )
                for label in self._labels[name]
            }
            yield Described(
                name=name, kind=family.type, meaning=family.documentation, labels=labels
            )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self._labels[name] = labels
        return Counter(name, meaning, labels, registry=self._registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self._labels[name] = labels
        return Gauge(name, meaning, labels, registry=self._registry)

    def _histogram(
        self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = _QUICK_S
    ) -> Histogram:
        self._labels[name] = labels
        return Histogram(name, meaning, labels, registry=self._registry, buckets=buckets)
