"""The callers of a server: who they are, and how they ask."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import msgspec

from server.domain.organizations import Organization
from tests.conftest import JWT_SECRET
from tests.house import House, Page

UUID_1 = "0b9a3c1e-5f0e-4c57-9a0e-111111111111"
UUID_2 = "0b9a3c1e-5f0e-4c57-9a0e-222222222222"


def token_of(user_id: str) -> str:
    """The token of a user, who may own locks."""
    claims = {
        "sub": user_id,
        "iss": "latchkey",
        "aud": "latchkey",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
    }
    return jwt.encode(claims, JWT_SECRET, algorithm="HS256")


def next_of(page: Page) -> str | None:
    """Where a list goes on, if it does."""
    link = page.response.headers.get("Link")
    if link is None:
        return None
    url, _, rel = link.partition(">; ")
    assert rel == 'rel="next"'
    return url.lstrip("<")


async def walk(house: House, url: str | None, name: str) -> list[dict[str, Any]]:
    """Everything on a list, page by page."""
    found: list[dict[str, Any]] = []
    while url is not None:
        page = await house.manage("GET", url)
        assert page.status == 200
        found += page.json()[name]
        url = next_of(page)
    return found


class Callers:
    """Everybody who may ask, by name; each asks with credentials of its own."""

    def __init__(
        self, house: House, other: Organization, headers: Mapping[str, dict[str, str]]
    ) -> None:
        self._house = house
        self._headers = headers
        self.other_organization = other

    @classmethod
    async def of(cls, house: House) -> "Callers":
        """The callers of a house, with strangers among them."""
        provisioning = house.services.provisioning
        other = await provisioning.create_organization("Other house")
        return cls(
            house,
            other,
            {
                "organisation": {"X_API_Key": house.api_key},
                "other organisation": {"X_API_Key": await provisioning.issue_api_key(other.id)},
                "super": {"X_API_Key": await provisioning.issue_api_key(None)},
                "owner": {"Authorization": f"Bearer {token_of('owner')}"},
                "other owner": {"Authorization": f"Bearer {token_of('somebody else')}"},
                "nobody": {},
            },
        )

    async def ask(self, who: str, method: str, path: str, body: Any = None, **headers: str) -> Page:
        """Ask as ``who``; a body is sent as JSON, unless it is bytes."""
        encoded = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        return await self._house.fetch(
            path,
            method,
            encoded,
            **{"Content_Type": "application/json"} | self._headers[who] | headers,
        )
