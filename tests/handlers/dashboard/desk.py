"""An operator at the desk: signed in to the dashboard, reading pages and pressing buttons."""

from typing import Any
from urllib.parse import urlencode

from tests.house import BROWSER, House, Page

COOKIE = "__Host-latchkey-desk"
FORM = "application/x-www-form-urlencoded"


async def sign_in(house: House, credential: str, **more: str) -> Page:
    """Post the sign-in form as a browser does."""
    return await house.fetch(
        "/dashboard/sign-in",
        "POST",
        urlencode({"credential": credential, **more}),
        Accept=BROWSER,
        Content_Type=FORM,
        Sec_Fetch_Site="same-origin",
    )


def cookie_of(answer: Page) -> str:
    """What a browser sends after this answer."""
    return answer.response.headers["Set-Cookie"].split(";")[0]


class Desk:
    """A browser that is signed in."""

    def __init__(self, house: House, cookie: str) -> None:
        self.house = house
        self.cookie = cookie

    @classmethod
    async def of(cls, house: House, credential: str | None = None) -> "Desk":
        """Sign in, with the organisation's API key unless told otherwise."""
        answer = await sign_in(house, credential or house.api_key)
        assert answer.status == 303, answer.html.get_text()
        return cls(house, cookie_of(answer))

    async def visit(self, path: str = "/dashboard", **headers: str) -> Page:
        """Open a page."""
        headers = {"Accept": BROWSER} | headers
        return await self.house.fetch(path, Cookie=self.cookie, **headers)

    async def press(self, path: str, fields: Any = (), **headers: str) -> Page:
        """Send a form as a page of this session does; ``fields`` are pairs, or a mapping."""
        pairs = list(fields.items() if isinstance(fields, dict) else fields)
        page = await self.visit()
        token = page.html.select_one('input[name="form_token"]')
        assert token is not None
        return await self.post(path, [("form_token", str(token["value"])), *pairs], **headers)

    async def post(self, path: str, pairs: list[tuple[str, str]], **headers: str) -> Page:
        """Send a form, whatever it holds."""
        named = {"Accept": BROWSER, "Content_Type": FORM, "Sec_Fetch_Site": "same-origin"}
        return await self.house.fetch(
            path, "POST", urlencode(pairs), Cookie=self.cookie, **(named | headers)
        )
