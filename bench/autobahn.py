"""The Autobahn cases against the lock socket, beside a stock Tornado WebSocket.

The cases want an echo, and bring neither a credential nor a subprotocol. So the very handler of
locks is asked, with its limits, but lets everybody in and echoes; beside it stand the same without
its limit on frames, and Tornado's own handler that only echoes. Wants the package ``kosoku``
(``pip install kosoku==0.1.0``); prints what did not pass, for each, and ends with 1 where the lock
socket without its limit fails a case that stock Tornado passes. Takes about a minute:

    python -m bench.autobahn [CASE…]
"""

import asyncio
import logging
import sys
from collections import defaultdict

import kosoku  # pyright: ignore[reportMissingImports]  # nobody else needs it: see above
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from handlers.lock_socket import LockSocket
from server import logs

LARGEST_OF_THE_CASES = 32 * 1024 * 1024


class EchoingLockSocket(LockSocket):
    """The lock socket, but for who may connect and what is said to them."""

    def initialize(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """No services: there is nobody to ask."""

    def set_default_headers(self) -> None:
        self.set_header("Server", "lock socket")

    async def prepare(self) -> None:
        """Let everybody in."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return None

    def open(self, *_args: str, **_kwargs: str) -> None:
        self.set_nodelay(True)

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


class EchoingWithoutLimit(EchoingLockSocket):
    """The same, taking frames as large as the cases send."""

    @property
    def max_message_size(self) -> int:
        return LARGEST_OF_THE_CASES


class Stock(WebSocketHandler):
    """Tornado's own, with nothing set but the size that the cases need."""

    @property
    def max_message_size(self) -> int:
        return LARGEST_OF_THE_CASES

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


async def not_passed(handler: type[WebSocketHandler], cases: list[str]) -> set[str]:
    """Print how ``handler`` does, and give the cases that it does not pass."""
    server = HTTPServer(Application([("/.*", handler)]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    where = f"127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        results = await kosoku.run_fuzzingclient(where, cases, None, concurrency=4)
    except kosoku.FailureError as failed:
        results = failed.results
    finally:
        server.stop()
        await server.close_all_connections()
    alike: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
    for one in results:
        if not one.passed:
            section = one.case_id.rpartition(".")[0]
            what = one.result_close if one.behavior_close.value == "WRONG CODE" else one.result
            alike[section, one.behavior.value, what].append(one.case_id)
    bad = {case for cases in alike.values() for case in cases}
    print(f"\n{handler.__name__}: {len(results) - len(bad)} of {len(results)} cases passed")
    for (_, verdict, what), ids in alike.items():
        several = ids[0] if len(ids) == 1 else f"{ids[0]} to {ids[-1]} ({len(ids)})"
        print(f"  {several:24} {verdict}: {what}")
    return bad


async def main(cases: list[str]) -> int:
    logs.configure("json")
    logging.disable(logging.WARNING)
    stock = await not_passed(Stock, cases)
    unlimited = await not_passed(EchoingWithoutLimit, cases)
    limited = await not_passed(EchoingLockSocket, cases)
    print(f"\nOnly for the limit on frames: {', '.join(sorted(limited - unlimited)) or 'none'}")
    print(f"Passed by stock Tornado only: {', '.join(sorted(unlimited - stock)) or 'none'}")
    return 1 if unlimited - stock else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:] or ["*"])))
