"""A guest's session in a browser: signing in for personal keys, and out again."""

import msgspec
from msgspec import Struct

from handlers.base import BodyT
from handlers.guest_base import SESSION_COOKIE, SignInHandler
from handlers.operation import NOTHING, Access, Answer, operation
from handlers.views.urls import key_url
from server import clock
from server.domain.errors import Unauthenticated
from server.domain.times import WireTime, wire_time

_ABOUT_THE_COOKIE = {"secure": True, "httponly": True, "samesite": "Lax", "path": "/"}
_OR_A_HEADER = {"Authorization": "The token (``Bearer``), where the body holds none."}


class SignIn(Struct, frozen=True, kw_only=True):
    """A guest's token. In a form, ``key`` says to which key's page to go on."""

    token: str | None = None
    key: str | None = None


class SessionAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """A session that has begun."""

    success: bool
    expires_at: WireTime


class Session(SignInHandler):
    """The guest's session in this browser."""

    @operation(
        Access.PUBLIC,
        {200: Answer(SessionAnswer), 303: NOTHING},
        errors=(400, 401, 503),
        body=SignIn,
        headers=_OR_A_HEADER,
    )
    async def post(self, body: SignIn) -> None:
        """Sign a guest in with a token, as JSON or as a form: sets the session's cookie."""
        token = body.token or self.bearer
        if token is None:
            raise Unauthenticated("Send a token")
        session = await self.services.auth.sign_in(token)
        max_age_s = int((session.expires_at - clock.now()).total_seconds())
        self.set_cookie(SESSION_COOKIE, session.cookie, max_age=max_age_s, **_ABOUT_THE_COOKIE)
        if self._is_form and body.key is not None:
            self.see_other(self.language.link(key_url(body.key)))
        else:
            expires_at = wire_time(session.expires_at)
            self.write_json(SessionAnswer(success=True, expires_at=expires_at))

    @operation(Access.PUBLIC, {204: NOTHING})
    async def delete(self) -> None:
        """Sign out: the browser forgets the session."""
        self.clear_cookie(SESSION_COOKIE, **_ABOUT_THE_COOKIE)
        self.set_status(204)

    def decode_json(self, kind: type[BodyT]) -> BodyT:
        """The body, which may be a form as well, or nothing beside ``Authorization``."""
        if self._is_form:
            return self.decode_form(kind)
        return super().decode_json(kind) if self.body else msgspec.convert({}, kind)

    @property
    def _is_form(self) -> bool:
        content_type = self.request.headers.get("Content-Type", "")
        return content_type.startswith("application/x-www-form-urlencoded")

    @property
    def key_to_sign_in_for(self) -> str | None:
        return self.decode_form(SignIn).key if self._is_form else None

    @property
    def sign_in_was_refused(self) -> bool:
        return True
