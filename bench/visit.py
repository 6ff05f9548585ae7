"""One visit: a stack is started, its locks connect, and it is taken through the scenarios."""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import psutil
from msgspec import Struct
from tornado.httpclient import AsyncHTTPClient

from bench import seeding
from bench.plan import Plan
from bench.processes import Running, cpu_s, python, running, with_packages
from bench.stacks import HOST, LATCHKEY, Place, Served, Stack, served

_WARM_UP = 10
"""Locks that connect and open before anything is measured, so that all code has run once."""
_TAPS_IN_THE_STORM = 5.0
_REPORTS_WHILE_STREAMED = 50.0
_LOOK_EVERY_S = 0.5
_LOOKS = 40
_SETTLED_BELOW = 0.15
"""Of a core."""


class Parts(Struct, frozen=True, kw_only=True):
    """What all visits share: the MongoDB that runs, and where logs go."""

    mongodb_uri: str
    mongod: psutil.Process
    folder: Path


class Visited(Struct, kw_only=True):
    """What a visit has measured: figures by name, and the load's share of a core in each job."""

    stack: str
    locks: int
    round: int
    figures: dict[str, float] = {}
    load_share: dict[str, float] = {}


class Cost(Struct, frozen=True, kw_only=True):
    """What a job has cost, and what the load told of it."""

    told: Mapping[str, object]
    server_s: float
    mongod_s: float

    def number(self, name: str) -> float:
        """A figure that the load told; ``each_ms.p99`` is one within another."""
        value: object = self.told
        for part in name.split("."):
            assert isinstance(value, Mapping)
            value = value[part]
        assert isinstance(value, int | float)
        return float(value)

    def __add__(self, put_off: "Cost") -> "Cost":
        """The job with what it put off."""
        return Cost(
            told=self.told,
            server_s=self.server_s + put_off.server_s,
            mongod_s=self.mongod_s + put_off.mongod_s,
        )

    @property
    def a_second(self) -> float:
        return self.number("count") / self.number("seconds")

    @property
    def server_us_each(self) -> float:
        """Microseconds of the server's processor time for each."""
        return self.server_s / max(1.0, self.number("count")) * 1e6

    @property
    def mongod_us_each(self) -> float:
        return self.mongod_s / max(1.0, self.number("count")) * 1e6


class Visit:
    """A stack that runs, and the load on it."""

    def __init__(self, visited: Visited, parts: Parts, served: Served, load: Running) -> None:
        self.visited = visited
        self.served = served
        self._mongod = parts.mongod
        self._load = load

    async def do(self, job: str, *, shown_as: str | None = None, **arguments: object) -> Cost:
        """Have the load do a job, and see what that costs."""
        before = [self._server_s(), cpu_s(self._mongod), self._load.cpu_s()]
        told = await self._load.ask(job, **arguments)
        after = [self._server_s(), cpu_s(self._mongod), self._load.cpu_s()]
        server_s, mongod_s, load_s = (b - a for a, b in zip(before, after, strict=True))
        self.visited.load_share[shown_as or job] = load_s / float(told["seconds"])
        return Cost(told=told, server_s=server_s, mongod_s=mongod_s)

    async def have(self, job: str, **arguments: object) -> None:
        """Have the load do a job that nothing is measured of."""
        await self._load.ask(job, **arguments)

    async def settle(self) -> Cost:
        """Wait until the server has done what it put off, but for claims, and not for long.

        It writes its audit trail behind what happens, which else would count for what comes next.
        Claims are settled some twelve seconds after an opening, many in one call.
        """
        spent = await self.do("rest", shown_as="settle", seconds=_LOOK_EVERY_S)
        for _ in range(_LOOKS):
            last = await self.do("rest", shown_as="settle", seconds=_LOOK_EVERY_S)
            spent += last
            if max(last.server_s, last.mongod_s) < _SETTLED_BELOW * _LOOK_EVERY_S:
                break
        return spent

    def note(self, **figures: float) -> None:
        """Keep figures; ``connect__cpu_us`` is shown as ``connect.cpu_us``."""
        for name, value in figures.items():
            self.visited.figures[name.replace("__", ".")] = value

    def memory_bytes(self) -> int:
        return sum(server.memory_bytes() for server in self.served.servers)

    def _server_s(self) -> float:
        return sum(server.cpu_s() for server in self.served.servers)


@asynccontextmanager
async def visiting(
    stack: Stack, parts: Parts, visited: Visited, *, nodes: int = 1, nats_url: str | None = None
) -> AsyncIterator[Visit]:
    """Start a stack and its load; forget its data on leaving."""
    database = f"bench-{stack.name}-{uuid.uuid4().hex[:8]}"
    place = Place(
        mongodb_uri=parts.mongodb_uri, database=database, folder=parts.folder, nats_url=nats_url
    )
    try:
        async with (
            served(stack, place, visited.locks, nodes) as serving,
            running(
                "the load",
                python("bench.load", HOST, *map(str, serving.ports)),
                parts.folder / "load.log",
                with_packages(),
            ) as load,
        ):
            yield Visit(visited, parts, serving, load)
    finally:
        await seeding.drop(parts.mongodb_uri, database)


async def visit(
    stack: Stack,
    parts: Parts,
    plan: Plan,
    locks: int,
    number: int,
    progress: Callable[[str], None],
) -> Visited:
    """Take one stack with so many locks through all scenarios."""
    visited = Visited(stack=stack.name, locks=locks, round=number)
    async with visiting(stack, parts, visited) as here:
        await here.have("connect", upto=min(_WARM_UP, locks), at_once=1)
        await here.have("visit", seconds=0.1, guests=1)
        for scenario in (_connect, _idle, _telemetry, _outage, _tap, _open, _pages):
            progress(f"{stack.title}, {locks} locks: {scenario.__name__.strip('_')}")
            await scenario(here, plan, locks)
        if stack is LATCHKEY:
            progress(f"{stack.title}, {locks} locks: streams")
            await _streams(here, plan)
    return visited


async def visit_two_nodes(
    parts: Parts, plan: Plan, nats_url: str, number: int, progress: Callable[[str], None]
) -> Visited:
    """Tap through one node for locks that hang on it, and for locks that hang on the other."""
    progress("Latchkey on two nodes")
    visited = Visited(stack="two nodes", locks=plan.locks, round=number)
    async with visiting(LATCHKEY, parts, visited, nodes=2, nats_url=nats_url) as here:
        await here.do("connect", upto=plan.locks, at_once=plan.at_once)
        taps = {"taps": plan.taps, "a_second": plan.taps_a_second, "reports_a_second": 0.0}
        for name, locks_of in (("warm_up", 0), ("same", 0), ("other", 1)):
            cost = await here.do("tap", shown_as=f"tap {name}", locks_of=locks_of, **taps)
            if name != "warm_up":
                here.visited.figures[f"two_nodes.{name}_ms"] = cost.number("frame_ms.p50")
    return visited


async def _connect(here: Visit, plan: Plan, locks: int) -> None:
    """Locks authenticate and are greeted, while guests open the doors of those that were first."""
    before = here.memory_bytes()
    cost = await here.do(
        "connect", upto=locks, at_once=plan.at_once, taps_a_second=_TAPS_IN_THE_STORM
    )
    cost += await here.settle()
    here.note(
        connect__a_second=cost.a_second,
        connect__cpu_us=cost.server_us_each,
        connect__mongod_us=cost.mongod_us_each,
        connect__welcome_p50_ms=cost.number("welcome_ms.p50"),
        connect__tap_p99_ms=cost.number("tap_to_frame_ms.p99"),
    )
    here.note(idle__kib=(here.memory_bytes() - before) / cost.number("count") / 1024)


async def _idle(here: Visit, plan: Plan, _locks: int) -> None:
    """Nobody says anything but pings and pongs."""
    cost = await here.do("rest", seconds=plan.idle_s)
    share = cost.server_s / plan.idle_s
    here.note(idle__core_percent=share * 100)


async def _telemetry(here: Visit, plan: Plan, _locks: int) -> None:
    """Reports as fast as they are acknowledged, and then at a rate."""
    cost = await here.do("report", seconds=plan.seconds, window=plan.window)
    cost += await here.settle()
    here.note(
        telemetry__a_second=cost.number("in_time"),
        telemetry__cpu_us=cost.server_us_each,
        telemetry__mongod_us=cost.mongod_us_each,
    )
    cost = await here.do(
        "report_steadily", seconds=plan.seconds, a_second=plan.reports_a_second, shown_as="steady"
    )
    await here.settle()
    here.note(
        steady__cpu_us=cost.server_us_each,
        steady__ack_p50_ms=cost.number("ack_ms.p50"),
        steady__ack_p99_ms=cost.number("ack_ms.p99"),
    )


async def _outage(here: Visit, plan: Plan, _locks: int) -> None:
    """Some locks report at once what they have kept."""
    cost = await here.do("report_batches", reports=plan.outage_reports, locks=plan.reporting)
    cost += await here.settle()
    here.note(
        batch__a_second=cost.a_second,
        batch__cpu_us=cost.server_us_each,
        batch__mongod_us=cost.mongod_us_each,
    )


async def _tap(here: Visit, plan: Plan, _locks: int) -> None:
    """Guests tap now and then, while locks report."""
    cost = await here.do(
        "tap",
        taps=plan.taps,
        a_second=plan.taps_a_second,
        reports_a_second=plan.reports_a_second,
    )
    await here.settle()
    here.note(
        tap__frame_p50_ms=cost.number("frame_ms.p50"),
        tap__frame_p99_ms=cost.number("frame_ms.p99"),
        tap__redirect_p50_ms=cost.number("redirect_ms.p50"),
        tap__stream_p50_ms=cost.number("stream_ms.p50"),
    )


async def _open(here: Visit, plan: Plan, _locks: int) -> None:
    """Guests open as many doors as they can."""
    cost = await here.do("open", seconds=plan.seconds, guests=plan.guests)
    cost += await here.settle()
    here.note(
        open__a_second=cost.a_second,
        open__cpu_us=cost.server_us_each,
        open__mongod_us=cost.mongod_us_each,
    )


async def _pages(here: Visit, plan: Plan, _locks: int) -> None:
    """Guests look at the confirmation page."""
    cost = await here.do("visit", seconds=plan.seconds, guests=plan.guests)
    await here.settle()
    here.note(page__a_second=cost.a_second, page__cpu_us=cost.server_us_each)


async def _streams(here: Visit, plan: Plan) -> None:
    """Many operators follow the fleet, over the API and on the dashboard."""
    api_key = here.served.secret or ""
    cookie = await _sign_in(here.served.ports[0], api_key)
    ways: dict[str, tuple[int, str, dict[str, str]]] = {
        "none": (0, "/stream", {}),
        "api": (plan.followers, "/stream", {"X-API-Key": api_key}),
        "dashboard": (plan.followers, "/dashboard/stream", {"Cookie": cookie}),
    }
    for name, (followers, path, headers) in ways.items():
        await here.have("begin_following", followers=followers, path=path, headers=headers)
        cost = await here.do(
            "report_steadily",
            shown_as=f"streams {name}",
            seconds=plan.streamed_s,
            a_second=_REPORTS_WHILE_STREAMED,
        )
        await here.have("end_following")
        share = cost.server_s / cost.number("seconds")
        here.visited.figures[f"streams.{name}_core_percent"] = share * 100


async def _sign_in(port: int, api_key: str) -> str:
    answer = await AsyncHTTPClient().fetch(
        f"http://{HOST}:{port}/dashboard/sign-in",
        method="POST",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=urlencode({"credential": api_key}),
        follow_redirects=False,
        raise_error=False,
    )
    return answer.headers["Set-Cookie"].split(";")[0]
