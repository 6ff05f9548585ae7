"""What the heartbeats of idle sessions cost: a timer for each of them, or one wheel for all.

Both watch the same number of sessions that answer every ping at once, for the same time. What a
ping itself costs, over a real WebSocket and back, is measured beside them: it is what a timer has
to be compared with. Prints processor time for each ping, as ratios too:

    python -m bench.heartbeats [SESSIONS]
"""

import asyncio
import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.websocket import WebSocketHandler, websocket_connect

from server.domain.locks import LivenessPolicy
from server.services.heartbeat import Heartbeat

SESSIONS = 10_000
PUBLISHED_HEARTBEAT_S = 20
POLICY = LivenessPolicy(heartbeat_s=2, offline_after_s=4.5)
"""Ten times as fast as the default: what is compared is the cost of one ping."""
FOR_S = 8
PINGS_OVER_SOCKETS = 5_000
TICK_S = 0.1


class Cost(NamedTuple):
    """What watching cost: bytes for each session, processor seconds for each ping."""

    bytes_each: float
    cpu_s: float


class Wheel:
    """The other way: sessions in slots of a tenth of a second, and one timer for the next slot."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots: defaultdict[int, list[Spoke]] = defaultdict(list)
        self._turned = self._slot_of(self._loop.time())
        self._timer = self._loop.call_later(TICK_S, self._turn)

    def put(self, spoke: "Spoke", due: float) -> None:
        self._slots[self._slot_of(due) + 1].append(spoke)

    def stop(self) -> None:
        self._timer.cancel()

    def _slot_of(self, moment: float) -> int:
        return int(moment / TICK_S)

    def _turn(self) -> None:
        now = self._loop.time()
        upto = self._slot_of(now)
        for slot in range(self._turned + 1, upto + 1):
            for spoke in self._slots.pop(slot, ()):
                due = spoke.look(now)
                if due is not None:
                    self.put(spoke, due)
        self._turned = upto
        self._timer = self._loop.call_later(TICK_S, self._turn)


class Spoke:
    """One session on the wheel; what it does when it is due is what ``Heartbeat`` does."""

    def __init__(self, wheel: Wheel, ping: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ping = ping
        self._stopped = False
        self._heard_at = self._loop.time()
        self._ping_at = self._heard_at + POLICY.heartbeat_s
        wheel.put(self, self._ping_at)

    def heard(self) -> None:
        self._heard_at = self._loop.time()

    def stop(self) -> None:
        self._stopped = True

    def look(self, now: float) -> float | None:
        if self._stopped or now - self._heard_at >= POLICY.silence_allowed_s:
            return None
        if now >= self._ping_at:
            self._ping()
            self._ping_at = now + POLICY.heartbeat_s
        return min(self._ping_at, self._heard_at + POLICY.silence_allowed_s)


class Session:
    """A session whose lock answers every ping at once."""

    pings = 0

    def __init__(self, wheel: Wheel | None) -> None:
        self.heartbeat: Heartbeat | Spoke = (
            Heartbeat(POLICY, self._pinged, self._cut)
            if wheel is None
            else Spoke(wheel, self._pinged)
        )

    def _pinged(self) -> None:
        Session.pings += 1
        self.heartbeat.heard()

    def _cut(self) -> None:
        raise AssertionError("a session that answers was cut")


async def watching(sessions: int, *, by_wheel: bool) -> Cost:
    """Watch so many sessions, which begin one after the other within one heartbeat."""
    wheel = Wheel() if by_wheel else None
    watched: list[Session] = []
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(20):
        watched += [Session(wheel) for _ in range(sessions // 20)]
        await asyncio.sleep(POLICY.heartbeat_s / 20)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    Session.pings = 0
    began = time.process_time()
    await asyncio.sleep(FOR_S)
    cpu_s = (time.process_time() - began) / Session.pings
    for session in watched:
        session.heartbeat.stop()
    if wheel is not None:
        wheel.stop()
    return Cost((after - before) / sessions, cpu_s)


class Pinging(WebSocketHandler):
    """Pings its client, and counts the answers."""

    def open(self, *_args: str, **_kwargs: str) -> None:
        self.answers = 0
        self.ping()

    def on_message(self, message: str | bytes) -> None:
        raise AssertionError("nobody says anything here")

    def on_pong(self, data: bytes) -> None:
        self.answers += 1
        if self.answers < PINGS_OVER_SOCKETS:
            self.ping()
        else:
            self.close()


async def pinging() -> float:
    """The processor time of one ping and its answer; half of what both ends take together."""
    server = HTTPServer(tornado.web.Application([("/", Pinging)]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    client = await websocket_connect(f"ws://127.0.0.1:{sockets[0].getsockname()[1]}/")
    began = time.process_time()
    await client.read_message()  # None: the server has closed, having had its answers
    spent = time.process_time() - began
    server.stop()
    await server.close_all_connections()
    return spent / PINGS_OVER_SOCKETS / 2


async def main(sessions: int) -> None:
    """Measure, and print."""
    each = await watching(sessions, by_wheel=False)
    wheel = await watching(sessions, by_wheel=True)
    ping_s = await pinging()
    a_second = sessions / PUBLISHED_HEARTBEAT_S
    print(f"{sessions} idle sessions, each with a heartbeat of {PUBLISHED_HEARTBEAT_S} s")
    for name, cost in (("a timer each", each), ("one wheel", wheel)):
        print(
            f"  {name:13} {cost.cpu_s * 1e6:6.2f} us, {cost.cpu_s / ping_s:5.1%} of a ping, "
            f"{cost.cpu_s * a_second:.2%} of a core, {cost.bytes_each:.0f} bytes a session"
        )
    print(f"  a ping itself {ping_s * 1e6:6.2f} us, {ping_s * a_second:.2%} of a core")
    print(f"  timer : wheel = {each.cpu_s / wheel.cpu_s:.1f} : 1")
    both = (each.cpu_s + ping_s) / (wheel.cpu_s + ping_s)
    print(f"  with the ping  = {both:.2f} : 1")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS))
