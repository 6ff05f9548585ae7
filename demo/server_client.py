"""What the demo asks its server, over HTTP as anybody would."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

_ASK_EVERY_S = 0.05
_TIMEOUT_S = 5.0


class ServerClient:
    """Asks one server with one API key."""

    def __init__(self, url: str, api_key: str) -> None:
        self.url = url
        self._headers = {"X-API-Key": api_key}

    async def until_ready(self) -> None:
        """Wait until a server that knows our API key takes traffic; another one never counts."""
        while await self._get("/health/ready") is None or await self._get("/locks") is None:
            await asyncio.sleep(_ASK_EVERY_S)

    async def until_online(self, lock_ids: Collection[int]) -> None:
        """Wait until all these locks, and no fewer, are connected and have told their state."""
        while True:
            health, answer = await self._get("/health"), await self._get("/locks")
            if health and answer and health["locksOnlineHere"] >= len(lock_ids):
                told = {lock["id"] for lock in answer["locks"] if lock["telemetry"] is not None}
                if told.issuperset(lock_ids):
                    return
            await asyncio.sleep(_ASK_EVERY_S)

    async def _get(self, path: str) -> Any:
        """The JSON answer; None where there is none, or it is a refusal."""
        try:
            answer = await AsyncHTTPClient().fetch(
                self.url + path, headers=self._headers, request_timeout=_TIMEOUT_S
            )
        except (OSError, HTTPClientError):
            return None
        return json.loads(answer.body)
