"""Bare Tornado: it parses a frame and answers. No checks, no storage: the framework's ceiling.

It trusts every token, stores nothing, and shows one fixed page from a template.
"""

import asyncio
import json
import sys
from typing import Any

import tornado.httpserver
import tornado.iostream
import tornado.netutil
import tornado.template
import tornado.web
from tornado.websocket import WebSocketHandler

PAGE = tornado.template.Template(
    "<!doctype html><title>{{ title }}</title>"
    '<section data-state="{{ state }}"><h1>{{ title }}</h1></section>'
)

locks: dict[int, "Lock"] = {}


class Lock(WebSocketHandler):
    """A lock's connection."""

    def select_subprotocol(self, subprotocols: list[str]) -> str | None:
        return subprotocols[0] if subprotocols else None

    def open(self, *args: str, **_kwargs: str) -> None:
        self.set_nodelay(True)
        self.lock_id = int(args[0])
        locks[self.lock_id] = self

    async def on_message(self, message: str | bytes) -> None:
        frame: dict[str, Any] = json.loads(message)
        match frame["type"]:
            case "telemetry":
                self.say({"type": "ack", "seq": frame["seq"]})
            case "batch":
                self.say({"type": "ack", "seq": frame["reports"][-1]["seq"]})
            case "hello":
                self.say({"type": "welcome"})

    def say(self, frame: dict[str, Any]) -> None:
        self.write_message(json.dumps(frame, separators=(",", ":")))

    def on_close(self) -> None:
        locks.pop(self.lock_id, None)


class Open(tornado.web.RequestHandler):
    """The tap: the command goes out, and the guest on to the page."""

    def post(self, key: str, _door: str) -> None:
        self.get_body_argument("attempt")
        command_id = key
        locks[int(key.rpartition("-")[2])].say({"type": "command", "id": command_id})
        self.redirect(f"/temp-keys/{key}/confirmation?door=1&command={command_id}", status=303)


class Confirmation(tornado.web.RequestHandler):
    """The page; also what a stream would say."""

    def get(self, _key: str, _stream: str | None) -> None:
        self.write(PAGE.generate(title="The door is open", state="opened"))


class Ready(tornado.web.RequestHandler):
    """That it serves."""

    def get(self) -> None:
        self.write("ready")


async def main(port: int) -> None:
    application = tornado.web.Application(
        [
            ("/health/ready", Ready),
            (r"/locks/(\d+)/connect", Lock),
            (r"/temp-keys/([^/]+)/doors/(\d+)/open", Open),
            (r"/temp-keys/([^/]+)/confirmation(/stream)?", Confirmation),
        ],
        websocket_ping_interval=20,
        log_function=lambda _: None,
    )
    server = tornado.httpserver.HTTPServer(application)
    server.add_sockets(tornado.netutil.bind_sockets(port, "127.0.0.1", backlog=1024))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
