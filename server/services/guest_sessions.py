"""Guests who signed in with a browser, for as long as a personal key needs them to be."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

import jwt
from msgspec import Struct

from server import clock
from server.domain.commands import new_attempt
from server.domain.errors import Unauthenticated
from server.domain.secrets import new_id
from server.services.tokens import Claims, hmac_key, read_claims, read_header
from server.storage.secret_store import SecretStore

LONGEST_SESSION = timedelta(hours=1)

_SECRET_NAME = "guest-sessions"  # noqa: S105  # its name, not its value
_AUDIENCE = "latchkey guest session"
_ALGORITHM = "HS256"


class NewGuestSession(Struct, frozen=True, kw_only=True):
    """A session that has just begun; ``cookie`` is what the guest's browser keeps of it."""

    cookie: str
    expires_at: datetime


class GuestSession:
    """A guest's session: who they are, and the attempts that its pages give out."""

    def __init__(self, user_id: str, form_key: bytes) -> None:
        self.user_id = user_id
        self._form_key = form_key

    def new_attempt(self) -> str:
        """A fresh attempt token for a form, one that no other session's page could hold."""
        attempt = new_attempt()
        return f"{attempt}.{self._mark(attempt)}"

    def gave_out(self, attempt: str) -> bool:
        """Whether ``attempt`` comes from a page of this session."""
        random_part, _, mark = attempt.rpartition(".")
        return hmac.compare_digest(self._mark(random_part).encode(), mark.encode())

    def _mark(self, attempt: str) -> str:
        return _derived(self._form_key, attempt).hex()


class GuestSessions:
    """Begins sessions, and knows them again on every node. None of them is stored.

    A session is a token of our own, signed with a key that is derived from ``secret``, or
    from a secret that the first node that needs it leaves in MongoDB for the others.
    """

    def __init__(self, store: SecretStore, secret: str | None = None) -> None:
        self._store = store
        self._secret = secret

    async def begin(self, claims: Claims) -> NewGuestSession:
        """Sign in whoever ``claims`` names, for an hour or until the claims expire.

        Raises:
            Unauthenticated: they have just expired.
            StorageUnavailable: the secret is in MongoDB, which is away.
        """
        now = clock.now()
        expires_at = min(claims.exp, now + LONGEST_SESSION)
        if expires_at <= now:
            raise Unauthenticated("The token is not good, or no longer")
        payload = {"sub": claims.sub, "jti": new_id(), "exp": expires_at, "aud": _AUDIENCE}
        key = hmac_key(await self._key("cookie"))
        cookie = jwt.encode(payload, key, algorithm=_ALGORITHM)
        return NewGuestSession(cookie=cookie, expires_at=expires_at)

    async def find(self, cookie: str) -> GuestSession:
        """The session that a browser's cookie stands for.

        Raises:
            Unauthenticated: it is over, or no cookie of ours.
            StorageUnavailable: the secret is in MongoDB, which is away.
        """
        read_header(cookie)
        key = hmac_key(await self._key("cookie"))
        claims = read_claims(cookie, key, _ALGORITHM, audience=_AUDIENCE, leeway=timedelta(0))
        return GuestSession(claims.sub, await self._key(f"forms {claims.jti}"))

    async def _key(self, purpose: str) -> bytes:
        if self._secret is None:
            made = secrets.token_urlsafe(48)
            self._secret = await self._store.find_or_insert(_SECRET_NAME, made)
        return _derived(self._secret.encode(), f"latchkey guest session {purpose}")


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.digest(key, purpose.encode(), hashlib.sha256)
