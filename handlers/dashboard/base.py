"""What the dashboard's pages share: the session, forms that only our pages can send, errors."""

from typing import Any, ClassVar
from urllib.parse import urlencode

from msgspec import Struct

from handlers.accept import prefers_html
from handlers.base import BodyT
from handlers.decoding import form_fields
from handlers.error_answers import error_body
from handlers.guest_base import is_from_here
from handlers.operation import Access
from handlers.pages import PageHandler
from handlers.views.desk_words import error_words_for_operators
from handlers.views.urls import (
    ARRIVALS_URL,
    EVENTS_URL,
    FLEET_URL,
    KEYS_URL,
    SIGN_IN_URL,
    key_page_url,
    lock_page_url,
)
from server.domain.errors import Forbidden
from server.domain.organizations import Operator
from server.services.operator_sessions import SignedIn

DESK_COOKIE = "__Host-latchkey-desk"
ABOUT_THE_COOKIE = {"secure": True, "httponly": True, "samesite": "Lax", "path": "/"}

FORM_TOKEN = "form_token"  # noqa: S105  # the name of a field


NAVIGATION = (
    ("fleet", FLEET_URL, "Fleet"),
    ("arrivals", ARRIVALS_URL, "At risk"),
    ("keys", KEYS_URL, "Keys"),
    ("events", EVENTS_URL, "Events"),
)
"""The entries of the navigation: the name, the address and the words of each."""


class Posted(Struct, frozen=True, kw_only=True):
    """A form that says nothing but that its button was pressed."""


class DashboardHandler(PageHandler):
    """Knows its operator by the session of their browser, and nothing else.

    A browser sends its cookie with whatever any page makes it send: so a form counts only
    with the token of the session that its page was made for, and never from another site.
    """

    compresses = False  # a page holds its session's form token, and repeats what was searched for

    here: ClassVar[str] = ""
    """Which entry of the navigation is this page's."""

    session: SignedIn | None = None

    async def prepare(self) -> None:
        await super().prepare()
        method = "GET" if self.request.method == "HEAD" else self.request.method or ""
        if self.operations[method].access is Access.DASHBOARD:
            self.operator = await self.ask_credential()

    async def ask_credential(self) -> Operator:
        """The operator who is signed in, if that is still good now.

        Raises:
            Unauthenticated: nobody is.
            StorageUnavailable: that cannot be found out right now.
        """
        self.session = await self.services.operator_sessions.find(self.get_cookie(DESK_COOKIE))
        return self.session.operator

    def decode_form(self, kind: type[BodyT]) -> BodyT:
        """The request's form, where it comes from a page of this session.

        Raises:
            Forbidden: it does not.
            InvalidInput: it cannot be read.
        """
        self.form_fields()
        return super().decode_form(kind)

    def form_fields(self) -> dict[str, list[str]]:
        """The fields of the request's form with all their values; raises as ``decode_form``."""
        fields = form_fields(self.body, self.request.headers.get("Content-Type", ""))
        token = fields.get(FORM_TOKEN, [""])[-1]
        ours = self.session is not None and self.session.gave_out(token)
        if not ours or not is_from_here(self.request.headers):
            raise Forbidden("This form has grown old. Go back, reload the page and try again")
        return fields

    def get_template_namespace(self) -> dict[str, Any]:
        namespace: dict[str, Any] = super().get_template_namespace()
        return namespace | {
            "nav": NAVIGATION,
            "here": self.here,
            "form_token": "" if self.session is None else self.session.form_token,
            "who": "" if self.session is None else self.session.operator.name,
        }

    def answer_error(self, status: int, error: BaseException | None) -> None:
        """Answer with the way to sign in, with a page that says what next, or with JSON."""
        self.set_header("Vary", "Accept")
        if not prefers_html(self.request.headers.get("Accept", "")):
            super().answer_error(status, error)
        elif status == 401:
            back = self.request.uri if self.request.method in ("GET", "HEAD") else None
            query = f"?{urlencode({'next': back})}" if back not in (None, FLEET_URL) else ""
            self.clear_header("WWW-Authenticate")
            self.set_status(303)
            self.set_header("Location", f"{SIGN_IN_URL}{query}")
            self.finish()
        else:
            body = error_body(status, error)
            self.set_status(status)
            words = error_words_for_operators(body.reason, body.message)
            self.render("dashboard/error.html", words=words, status=status, back=self._back(status))

    def _back(self, status: int) -> str:
        """The page of the lock or key that this was about, where there is one."""
        lock_id, key_uuid = self.path_kwargs.get("lock_id", ""), self.path_kwargs.get("key_uuid")
        if status == 404:
            return FLEET_URL
        if lock_id.isdecimal():
            return lock_page_url(int(lock_id))
        return FLEET_URL if key_uuid is None else key_page_url(key_uuid)
