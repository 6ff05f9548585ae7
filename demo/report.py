"""What the demo prints once all is ready: for people, or one line for scripts."""

import json
import os
from typing import Any, TextIO

from demo.installation import Installation
from handlers.views.urls import FLEET_URL, key_url
from server.domain.temp_keys import KeyStatus

_BOLD, _GREEN, _DIM, _PLAIN = "\033[1m", "\033[32m", "\033[2m", "\033[0m"


def as_json(demo: Installation) -> str:
    """Everything a script needs, on one line; null where the fleet is too small for it."""
    keys = demo.seeded.keys
    organization = demo.seeded.organization
    facts: dict[str, Any] = {
        "url": demo.url,
        "guest": _link(demo, keys.by_state[KeyStatus.VALID]),
        "offlineGuest": _link(demo, keys.offline),
        "keys": {
            **{status.value: _link(demo, uuid) for status, uuid in keys.by_state.items()},
            "two-doors": _link(demo, keys.two_doors),
        },
        "lowBatteryGuest": _link(demo, keys.low_battery),
        "jammedGuest": _link(demo, keys.jammed),
        "dashboard": f"{demo.url}{FLEET_URL}",
        "apiKey": demo.seeded.api_key,
        "jwt": demo.jwt,
        "organization": {"id": organization.id, "name": organization.name},
        "mongodb": demo.mongodb_uri,
        "health": f"{demo.url}/health",
        "docs": f"{demo.url}/docs",
        "data": str(demo.folder),
        "pid": os.getpid(),
        "servers": [{"url": server.url, "pid": server.child.pid} for server in demo.servers],
        "serverPid": demo.servers[0].child.pid,
        "frontDoorPid": None if demo.front_door is None else demo.front_door.pid,
        "fleetPid": demo.fleets[0].pid if demo.fleets else None,
    }
    return json.dumps(facts)


class Page:
    """Text for a person, in colour where it goes to a terminal that wants it."""

    def __init__(self, demo: Installation, out: TextIO) -> None:
        self._demo = demo
        self._colour = out.isatty() and not os.environ.get("NO_COLOR")
        self._lines: list[str] = []

    def text(self) -> str:
        """The whole page."""
        demo, keys = self._demo, self._demo.seeded.keys
        locks = demo.seeded.locks
        online = sum(not lock.about.stays_offline for lock in locks)
        how_many = f"{len(locks)} simulated locks, {online} online" if locks else "no locks"
        if len(locks) == 1:
            how_many = "one simulated lock"
        where = " and ".join(server.url for server in demo.servers)
        self._title(f"Latchkey runs at {where}", f"{demo.seeded.organization.name}: {how_many}")
        valid = keys.by_state[KeyStatus.VALID]
        if valid is None:
            self._section("No locks, so no keys: a key is for at least one door")
        else:
            self._section("Open a door as a guest: follow this link and tap the button")
            self._key("Front door", valid, _GREEN)
            for server in demo.servers[1:]:
                self._row("at another server", self._in(_GREEN, server.url + key_url(valid)))
        if keys.offline is not None:
            self._section("A lock that is offline: what the page promises, and what it does not")
            self._key("Lighthouse cottage", keys.offline, _GREEN)
        if keys.two_doors is not None:
            self._section("Other doors")
            self._key("two doors", keys.two_doors)
            self._key("low battery", keys.low_battery)
            self._key("jammed bolt", keys.jammed)
        if valid is not None:
            self._section("Keys that do not open, and say why")
            for status, uuid in keys.by_state.items():
                if status is not KeyStatus.VALID:
                    self._key(status.value.replace("-", " "), uuid)
        self._section("Look after the doors as their operator: sign in with the API key")
        self._row("dashboard", self._in(_GREEN, f"{demo.url}{FLEET_URL}"))
        self._row("API key", demo.seeded.api_key)
        self._section("For programs")
        self._row("try it", f"curl -H 'X-API-Key: {demo.seeded.api_key}' {demo.url}/locks")
        self._row("routes", f"{demo.url}/docs")
        self._row("health", f"{demo.url}/health")
        if demo.front_door is not None:
            self._section("Let the front door fall silent, and come back")
            self._row("silent", f"kill -STOP {demo.front_door.pid}")
            self._row("", f"(within {demo.offline_after_s:g} s its page says that it is offline)")
            self._row("back", f"kill -CONT {demo.front_door.pid}")
        self._section("Data and logs")
        self._row("folder", str(demo.folder))
        self._lines += ["", self._in(_BOLD, "Ctrl-C stops everything.")]
        return "\n".join(["", *self._lines])

    def _title(self, title: str, more: str) -> None:
        self._lines += [self._in(_BOLD, title), more]

    def _section(self, title: str) -> None:
        self._lines += ["", self._in(_BOLD, title)]

    def _key(self, name: str, uuid: str | None, colour: str = "") -> None:
        link = _link(self._demo, uuid)
        if link is not None:
            self._row(name, self._in(colour, link))

    def _row(self, name: str, value: str) -> None:
        self._lines.append(f"  {self._in(_DIM, f'{name:<18}')}  {value}")

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_PLAIN}" if colour and self._colour else text


def _link(demo: Installation, uuid: str | None) -> str | None:
    return None if uuid is None else demo.url + key_url(uuid)
