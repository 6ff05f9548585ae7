"""What the load can be told to do, and what it then tells: counts, seconds, latencies."""

import asyncio
import itertools
import secrets
from collections import deque
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from bench.identities import key_uuid
from bench.load.guests import Guest
from bench.load.locks import Lock, LostConnection, connect

Told = dict[str, Any]

_TICK_S = 0.005
_DRAINED_WITHIN_S = 60.0


class WrongAnswer(Exception):
    """The server answered something else than what was measured."""


class Load:
    """Locks and guests of the servers at ``ports``; a lock hangs on the server of its turn."""

    def __init__(self, host: str, ports: list[int]) -> None:
        self._host, self._ports = host, ports
        self._locks: list[Lock] = []
        self._tapped: dict[int, asyncio.Future[float]] = {}
        self._following: list[asyncio.Task[None]] = []

    # Locks

    async def connect(self, *, upto: int, at_once: int, taps_a_second: float = 0) -> Told:
        """Connect locks until there are ``upto``, ``at_once`` at a time, and tap meanwhile."""
        began = perf_counter()
        took: list[float] = []
        numbers = iter(range(len(self._locks) + 1, upto + 1))
        greeted = len(self._locks)

        async def one_after_the_other() -> None:
            for number in numbers:
                port = self._ports[number % len(self._ports)]
                lock, seconds = await connect(number, self._host, port, self._commanded)
                self._locks.append(lock)
                took.append(seconds)

        tapping = None
        if taps_a_second:
            tapping = asyncio.create_task(self._tap_forever(taps_a_second, greeted))
        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        seconds = perf_counter() - began
        told = {"count": len(took), "seconds": seconds, "welcome_ms": _spread(took)}
        if tapping is not None:
            tapping.cancel()
            await asyncio.gather(tapping, return_exceptions=True)
            told["tap_to_frame_ms"] = _spread(self._meanwhile)
        self._locks.sort(key=lambda lock: lock.lock_id)
        return told

    async def rest(self, *, seconds: float) -> Told:
        """Do nothing but answer pings."""
        await asyncio.sleep(seconds)
        return {"count": len(self._locks), "seconds": seconds}

    async def report(self, *, seconds: float, window: int) -> Told:
        """Report as fast as it is acknowledged, ``window`` reports of each lock under way."""
        end = perf_counter() + seconds
        before = sum(lock.acked for lock in self._locks)

        def more(lock: Lock) -> None:
            if perf_counter() < end:
                while lock.seq - lock.acked < window:
                    lock.report()

        for lock in self._locks:
            lock.on_ack = more
        began = perf_counter()
        for lock in self._locks:
            more(lock)
        await asyncio.sleep(seconds)
        in_time = sum(lock.acked for lock in self._locks) - before
        await self._until_acked()
        count = sum(lock.acked for lock in self._locks) - before
        return {"count": count, "seconds": perf_counter() - began, "in_time": in_time / seconds}

    async def report_steadily(self, *, seconds: float, a_second: float) -> Told:
        """Report at a rate, one lock after the other."""
        sent: dict[tuple[int, int], float] = {}
        took: list[float] = []

        def acked(lock: Lock) -> None:
            began = sent.pop((lock.lock_id, lock.acked), None)
            if began is not None:
                took.append(perf_counter() - began)

        for lock in self._locks:
            lock.on_ack = acked
        began, count = perf_counter(), 0
        turns = itertools.cycle(self._locks)
        while (now := perf_counter()) < began + seconds:
            while count < (now - began) * a_second:
                lock = next(turns)
                lock.report()
                sent[lock.lock_id, lock.seq] = perf_counter()
                count += 1
            await asyncio.sleep(_TICK_S)
        await self._until_acked()
        return {"count": count, "seconds": perf_counter() - began, "ack_ms": _spread(took)}

    async def report_batches(self, *, reports: int, locks: int) -> Told:
        """Some locks report what they have kept through an outage, as many each."""
        reporting = self._locks[:locks]
        for lock in reporting:
            lock.on_ack = None
        began = perf_counter()
        for lock in reporting:
            lock.report_batch(reports)
        await self._until_acked()
        return {"count": reports * len(reporting), "seconds": perf_counter() - began}

    async def _until_acked(self) -> None:
        async with asyncio.timeout(_DRAINED_WITHIN_S):
            while any(lock.acked < lock.seq for lock in self._locks):
                lost = [lock.lock_id for lock in self._locks if lock.is_lost]
                if lost:
                    raise LostConnection(f"{len(lost)} of {len(self._locks)}, as of lock {lost[0]}")
                await asyncio.sleep(_TICK_S)
        for lock in self._locks:
            lock.on_ack = None

    # Operators

    async def begin_following(self, *, followers: int, path: str, headers: dict[str, str]) -> Told:
        """Follow a stream that does not end, so often; returns once each has said something."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n{lines}\r\n".encode()
        began = perf_counter()
        heard: set[int] = set()

        async def one(number: int) -> None:
            reader, writer = await asyncio.open_connection(self._host, self._ports[0])
            try:
                writer.write(request)
                while await reader.read(2**16):
                    heard.add(number)
            finally:
                writer.close()

        self._following = [asyncio.create_task(one(number)) for number in range(followers)]
        async with asyncio.timeout(_DRAINED_WITHIN_S):
            while len(heard) < followers:
                if any(each.done() for each in self._following):
                    raise WrongAnswer(f"{path} ends at once")
                await asyncio.sleep(_TICK_S)
        return {"count": followers, "seconds": perf_counter() - began}

    async def end_following(self) -> Told:
        """Follow no more; complains of streams that have ended by themselves."""
        began = perf_counter()
        ended = sum(each.done() for each in self._following)
        for each in self._following:
            each.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        if ended:
            raise WrongAnswer(f"{ended} streams have ended")
        return {"count": len(self._following), "seconds": perf_counter() - began}

    # Guests

    async def tap(
        self,
        *,
        taps: int,
        a_second: float,
        reports_a_second: float,
        through: int = 0,
        locks_of: int = 0,
    ) -> Told:
        """Tap at a rate, while locks report.

        The taps go to the server ``through``, for locks that hang on the server ``locks_of``.
        """
        reporting = asyncio.create_task(
            self.report_steadily(seconds=taps / a_second, a_second=reports_a_second)
        )
        locks = itertools.cycle(
            lock for lock in self._locks if lock.lock_id % len(self._ports) == locks_of
        )
        guest = Guest(self._host, self._ports[through])
        follower = Guest(self._host, self._ports[through])
        to_frame: list[float] = []
        to_redirect: list[float] = []
        to_stream: list[float] = []
        began = perf_counter()
        for number in range(taps):
            await asyncio.sleep(max(0, began + number / a_second - perf_counter()))
            tapped_at = perf_counter()
            location, frame_s = await self._tap(guest, next(locks).lock_id)
            to_frame.append(frame_s)
            to_redirect.append(perf_counter() - tapped_at)
            stream = location.replace("/confirmation?", "/confirmation/stream?")
            await follower.until_streamed(stream, b'data-state="opened"')
            to_stream.append(perf_counter() - tapped_at)
        guest.leave()
        seconds = perf_counter() - began
        told = await reporting
        return {
            "count": taps,
            "seconds": seconds,
            "reports": told["count"],
            "frame_ms": _spread(to_frame),
            "redirect_ms": _spread(to_redirect),
            "stream_ms": _spread(to_stream),
        }

    async def open(self, *, seconds: float, guests: int) -> Told:
        """Open as fast as it goes, each guest one door after the other."""
        # A lock that is opening is busy, so no two guests stand at one door.
        free = deque(self._locks)

        async def one(guest: Guest) -> None:
            lock = free.popleft()
            await self._tap(guest, lock.lock_id)
            free.append(lock)

        return await self._closed_loop(seconds, guests, one)

    async def visit(self, *, seconds: float, guests: int) -> Told:
        """Look at the confirmation page of an opening, as fast as it goes."""
        guest = Guest(self._host, self._ports[0])
        page, _ = await self._tap(guest, self._locks[0].lock_id)
        guest.leave()

        async def one(guest: Guest) -> None:
            answer = await guest.get(page)
            if answer.status != 200 or b'data-state="opened"' not in answer.body:
                raise WrongAnswer(f"{answer.status} {answer.body[:300]!r}")

        return await self._closed_loop(seconds, guests, one)

    async def _closed_loop(
        self, seconds: float, guests: int, one: Callable[[Guest], Awaitable[None]]
    ) -> Told:
        began, took = perf_counter(), list[float]()

        async def again_and_again() -> None:
            guest = Guest(self._host, self._ports[0])
            while (now := perf_counter()) < began + seconds:
                await one(guest)
                took.append(perf_counter() - now)
            guest.leave()

        await asyncio.gather(*(again_and_again() for _ in range(guests)))
        return {"count": len(took), "seconds": perf_counter() - began, "each_ms": _spread(took)}

    async def _tap_forever(self, a_second: float, locks: int) -> None:
        self._meanwhile: list[float] = []
        guest = Guest(self._host, self._ports[0])
        for number in itertools.count():
            _, frame_s = await self._tap(guest, number % locks + 1)
            self._meanwhile.append(frame_s)
            await asyncio.sleep(1 / a_second)

    async def _tap(self, guest: Guest, lock_id: int) -> tuple[str, float]:
        """Tap at a lock's door: where the guest is sent on to, and when the lock was told."""
        told: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._tapped[lock_id] = told
        began = perf_counter()
        answer = await guest.tap(key_uuid(lock_id), secrets.token_urlsafe(12))
        if answer.status != 303:
            raise WrongAnswer(f"{answer.status} {answer.body[:300]!r}")
        async with asyncio.timeout(10):
            return answer.headers["location"], await told - began

    def _commanded(self, lock_id: int) -> None:
        told = self._tapped.pop(lock_id, None)
        if told is not None and not told.done():
            told.set_result(perf_counter())


def _spread(seconds: list[float]) -> dict[str, float]:
    """Milliseconds: the median, and what one in a hundred takes longer than."""
    ordered = sorted(seconds)
    if not ordered:
        return {"p50": 0.0, "p99": 0.0}
    last = len(ordered) - 1
    return {
        "p50": ordered[last // 2] * 1000,
        "p99": ordered[min(last, int(len(ordered) * 0.99))] * 1000,
    }
