"""Signing in to the dashboard, and out again."""

import re

from msgspec import Struct

from handlers.accept import prefers_html
from handlers.dashboard.base import ABOUT_THE_COOKIE, DESK_COOKIE, DashboardHandler, Posted
from handlers.guest_base import is_from_here
from handlers.operation import NOTHING, PAGE, Access, operation
from handlers.pages import PageHandler
from handlers.views.desk_words import sign_in_problem
from handlers.views.urls import FLEET_URL, SIGN_IN_URL
from server.domain.errors import Forbidden, Unauthenticated
from server.services.operator_sessions import LONGEST_SESSION

_OURS = re.compile(r"/dashboard(?:[/?][\x21-\x7e]*)?\Z")


class SignInForm(Struct, frozen=True, kw_only=True):
    """An API key or a token, and the page to go on to."""

    credential: str = ""
    next: str = ""


class SignInQuery(Struct, frozen=True, kw_only=True):
    """The page to go on to."""

    next: str = ""


class SignInPage(PageHandler):
    """The way into the dashboard."""

    @operation(Access.PUBLIC, {200: PAGE}, query=SignInQuery)
    async def get(self, query: SignInQuery) -> None:
        self._show(query.next, None)

    @operation(Access.PUBLIC, {303: NOTHING}, errors=(401, 403, 429, 503), form=SignInForm)
    async def post(self, form: SignInForm) -> None:
        """Sign in with an API key or a token: sets the session's cookie."""
        if not is_from_here(self.request.headers):
            raise Forbidden("Sign in on the page of this server")
        credential = form.credential.strip()
        if not credential:
            raise Unauthenticated("Send an API key or a token")
        cookie = await self.services.operator_sessions.begin(credential, self.address)
        max_age = int(LONGEST_SESSION.total_seconds())
        self.set_cookie(DESK_COOKIE, cookie, max_age=max_age, **ABOUT_THE_COOKIE)
        self.see_other(form.next if _OURS.match(form.next) else FLEET_URL)

    def answer_error(self, status: int, error: BaseException | None) -> None:
        """Answer with the same page, which says what was wrong; with JSON to a program."""
        if status not in (401, 429, 503) or not prefers_html(
            self.request.headers.get("Accept", "")
        ):
            super().answer_error(status, error)
            return
        self.set_status(status)
        self._show(self.decode_form(SignInForm).next, sign_in_problem(status))

    def _show(self, go_on_to: str, problem: str | None) -> None:
        self.render("dashboard/sign_in.html", next=go_on_to, problem=problem, form_token="")


class SignOut(DashboardHandler):
    """The way out."""

    @operation(Access.DASHBOARD, {303: NOTHING}, errors=(403,), form=Posted)
    async def post(self, form: Posted) -> None:
        """End the session, here and wherever its cookie was copied to."""
        await self.services.operator_sessions.end(self.get_cookie(DESK_COOKIE) or "")
        self.clear_cookie(DESK_COOKIE, **ABOUT_THE_COOKIE)
        self.see_other(SIGN_IN_URL)
