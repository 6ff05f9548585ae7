"""Operators signed in with a browser: for half a day, and never longer than their credential."""

import hmac
import secrets
from datetime import timedelta

from msgspec import Struct

from server import clock
from server.domain.errors import Unauthenticated
from server.domain.organizations import Operator
from server.domain.secrets import API_KEY_PREFIX, digest
from server.services.auth import Auth
from server.services.guesses import Guesses
from server.storage.operator_session_store import OperatorSession, OperatorSessionStore

LONGEST_SESSION = timedelta(hours=12)


class SignedIn(Struct, frozen=True, kw_only=True):
    """A session that goes on: whose it is, and what its forms must carry."""

    operator: Operator
    form_token: str

    def gave_out(self, form_token: str) -> bool:
        """Whether a form comes from a page of this session."""
        return hmac.compare_digest(self.form_token.encode(), form_token.encode())


class OperatorSessions:
    """Begins sessions and knows them again, on every node.

    A browser keeps a random word, MongoDB its digest: neither is a credential of the API,
    and a guest's session (a signed token, stored nowhere) can never be taken for one of these.
    What was proved at the sign-in is asked again each time: a session ends with its API key.
    """

    def __init__(self, store: OperatorSessionStore, auth: Auth, guesses: Guesses) -> None:
        self._store = store
        self._auth = auth
        self._guesses = guesses

    async def begin(self, credential: str, address: str) -> str:
        """Sign in with an API key or a token; the cookie of the new session.

        Raises:
            Unauthenticated: the credential is not good.
            TooManyTries: too many from this address were not.
            IssuerUnavailable, StorageUnavailable: that cannot be found out right now.
        """
        tried = await self._guesses.try_sign_in(address)
        cookie = secrets.token_urlsafe(32)
        session = await self._proved(digest(cookie), credential)
        await self._guesses.signed_in(tried)
        await self._store.insert(session)
        return cookie

    async def find(self, cookie: str | None) -> SignedIn:
        """The session that a browser's cookie stands for.

        Raises:
            Unauthenticated: it is over, or its credential is good no longer.
            StorageUnavailable: MongoDB is away.
        """
        session = await self._store.find(digest(cookie), clock.now()) if cookie else None
        if cookie is None or session is None:
            raise Unauthenticated("Sign in to the dashboard")
        if session.api_key_digest is not None:
            operator = await self._auth.operator_by_digest(session.api_key_digest)
        else:
            operator = Operator(
                name=session.name or "", org_id=session.org_id, user_id=session.user_id
            )
        return SignedIn(operator=operator, form_token=digest(f"form of {cookie}"))

    async def end(self, cookie: str) -> None:
        """Sign out: the cookie is good for nothing any more, wherever it was copied to."""
        await self._store.remove(digest(cookie))

    async def _proved(self, session_id: str, credential: str) -> OperatorSession:
        now = clock.now()
        latest = now + LONGEST_SESSION
        if credential.startswith(API_KEY_PREFIX):
            key_digest = digest(credential)
            await self._auth.operator_by_digest(key_digest)
            return OperatorSession(
                id=session_id, created_at=now, expires_at=latest, api_key_digest=key_digest
            )
        operator, good_until = await self._auth.operator_by_token(credential)
        return OperatorSession(
            id=session_id,
            created_at=now,
            expires_at=min(latest, good_until),
            name=operator.name,
            org_id=operator.org_id,
            user_id=operator.user_id,
        )
