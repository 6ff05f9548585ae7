"""What the handlers of a guest's link share: who the guest is, and the way to sign in."""

import contextlib
from typing import Any

from tornado.httputil import HTTPHeaders

from handlers.operation import Access
from handlers.pages import PageHandler
from handlers.views.brand_view import brand_view
from server.domain.commands import new_attempt
from server.domain.errors import (
    Forbidden,
    LatchkeyError,
    StorageUnavailable,
    TempKeyNotFound,
    Unauthenticated,
)
from server.domain.organizations import Guest, Organization
from server.domain.refusals import GuestNotAllowed
from server.services.guest_sessions import GuestSession

SESSION_COOKIE = "__Host-latchkey"


class SignInHandler(PageHandler):
    """Answers a browser that has to sign in with the page that says how."""

    def answer_error(self, status: int, error: BaseException | None) -> None:
        if status != 401 or not self.prefers_html:
            super().answer_error(status, error)
            return
        self.set_status(status)
        self.set_header("Vary", "Accept, Accept-Language")
        self.render(
            "sign_in.html", key_uuid=self.key_to_sign_in_for, was_refused=self.sign_in_was_refused
        )

    @property
    def key_to_sign_in_for(self) -> str | None:
        """The key that the guest came for."""
        return self.path_kwargs.get("key_uuid")

    @property
    def sign_in_was_refused(self) -> bool:
        """Whether the guest has just tried."""
        return False


class GuestHandler(SignInHandler):
    """Knows its guest by a token (``Authorization``), or else by the session of their browser.

    A browser sends its cookie with whatever any page makes it send, so it takes more than the
    cookie to open a personal key's door: see ``guest_who_taps``.
    """

    guest: Guest = Guest()
    session: GuestSession | None = None
    _tap_was_foreign = False

    async def prepare(self) -> None:
        await super().prepare()
        method = "GET" if self.request.method == "HEAD" else self.request.method or ""
        if self.operations[method].access is not Access.GUEST:
            return
        if self.bearer is not None:
            self.guest = await self.services.auth.guest(self.bearer)
            return
        self.session = await self.services.auth.session(self.get_cookie(SESSION_COOKIE))
        if self.session is not None:
            self.guest = Guest(user_id=self.session.user_id)

    async def refuse(self, error: LatchkeyError) -> None:
        """Before a method's error is answered: count links that lead nowhere, and find out
        whose pages these are, so that its guest is told whom to call."""
        if isinstance(error, TempKeyNotFound):
            await self.services.guesses.missed_link(self.address)
        elif self.prefers_html and not isinstance(error, StorageUnavailable):
            with contextlib.suppress(LatchkeyError):
                await self.look_like_organization_of(self.path_kwargs["key_uuid"])

    async def look_like_organization_of(self, key_uuid: str) -> None:
        """Show the pages of a key in the look of whoever issued it."""
        org_id = await self.services.temp_keys.organization_of(key_uuid)
        self.look_like(await self.services.organizations.find(org_id))

    def look_like(self, organization: Organization) -> None:
        """Show the pages in the look of an organisation."""
        self.brand = brand_view(organization)

    def new_attempt(self) -> str:
        """A fresh attempt token for a form of this guest's page."""
        return new_attempt() if self.session is None else self.session.new_attempt()

    def guest_who_taps(self, attempt: str | None) -> Guest:
        """The guest, where the tap came from a page of ours that this guest was given.

        A session counts only for a form that holds an ``attempt`` of that session, and that
        no other site has posted. Without it the guest is nobody: good enough for a public key.
        """
        if self.session is None:
            return self.guest
        if is_from_here(self.request.headers) and self.session.gave_out(attempt or ""):
            return self.guest
        self._tap_was_foreign = True
        return Guest()

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        _, error, trace = kwargs.get("exc_info", (None, None, None))
        if isinstance(error, GuestNotAllowed):
            if self._tap_was_foreign:
                error = Forbidden("Open this door from the page of your key")
            elif self.guest.user_id is None:
                error = Unauthenticated("This key is personal: sign in to use it")
            kwargs["exc_info"] = (type(error), error, trace)
        super().send_error(status_code, **kwargs)


def is_from_here(headers: HTTPHeaders) -> bool:
    """Whether a browser says that a page of this very server sent this request, or says nothing.

    ``Sec-Fetch-Site`` counts first: our pages send no referrer, and for that browsers post
    their forms with ``Origin: null``.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("Origin", "null")
    return origin == "null" or origin.partition("://")[2] == headers.get("Host")
