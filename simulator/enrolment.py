"""A fleet's locks on a server: made over its REST API, as its operator would, and remembered.

A device token is shown once, so whoever made a lock keeps it: in a fleet file, which only its
owner can read. A lock that was there before is never touched, since a new token would lock the
real one out.
"""

import http.client
import json
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from simulator import flash
from simulator.fleet import FleetMember, read_fleet

_TIMEOUT_S = 10.0
_VENDOR = "latchkey-simulator"


class Enrolment:
    """Makes locks for the organisation of an API key."""

    def __init__(self, url: str, api_key: str) -> None:
        """``url`` is the server's base address.

        Raises:
            ValueError: it is none.
        """
        parts = urlsplit(url)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        if parts.scheme not in kinds or not parts.hostname:
            raise ValueError(f"not a server's address: {url!r} (example: http://127.0.0.1:8080)")
        self._http = kinds[parts.scheme](parts.hostname, parts.port, timeout=_TIMEOUT_S)
        self._path = parts.path.rstrip("/")
        self._headers = {"X-API-Key": api_key, "Content-Type": "application/json"}

    def fill(self, fleet_file: Path, count: int) -> list[FleetMember]:
        """The fleet of that file, with new locks added until it has ``count``.

        Raises:
            OSError: the server or the file does not answer; what was made until then is kept.
            ValueError: the server refuses, or the file is no fleet's.
        """
        members = read_fleet(str(fleet_file)) if fleet_file.exists() else []
        with closing(self._http):
            while len(members) < count:
                lock_id = self._make_lock(members[-1].lock_id if members else 0)
                token = self._ask(f"/locks/{lock_id}/credentials", {}, 201)["token"]
                members.append(FleetMember(lock_id=lock_id, token=token))
                flash.replace_file(fleet_file, [msgspec.json.encode(members)])
        return members[:count]

    def _make_lock(self, after: int) -> int:
        """Add a lock with the next number that nobody has, more or less."""
        step = 1
        while True:
            lock_id = after + step
            wanted = {
                "index": lock_id,
                "uuid": str(uuid.uuid4()),
                "vendorName": _VENDOR,
            }
            answer = self._ask(f"/locks/{lock_id}/CreateLock", wanted, 201, 200, 409)
            if answer.get("event") is not None:  # or it was there before
                return lock_id
            step *= 2

    def _ask(self, path: str, body: dict[str, Any], *statuses: int) -> dict[str, Any]:
        try:
            self._http.request("POST", self._path + path, json.dumps(body), self._headers)
            answer = self._http.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"the server does not speak HTTP: {error!r}") from error
        if answer.status not in statuses:
            raise ValueError(f"the server answered {answer.status} to {path}: {content[:200]!r}")
        return json.loads(content)
