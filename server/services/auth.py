"""Who is asking: operators, guests and locks, by whatever they prove themselves with."""

from datetime import datetime

from server import clock
from server.domain.errors import Unauthenticated
from server.domain.locks import Lock
from server.domain.organizations import Guest, Operator
from server.domain.secrets import digest
from server.services.guest_sessions import GuestSession, GuestSessions, NewGuestSession
from server.services.jwks import IssuerUnavailable
from server.services.lock_credentials import LockCredentials
from server.services.tokens import Claims, Tokens
from server.storage.organization_store import OrganizationStore


class Auth:
    """Checks credentials; every refusal is the same ``Unauthenticated``."""

    def __init__(
        self,
        organizations: OrganizationStore,
        locks: LockCredentials,
        sessions: GuestSessions,
        tokens: Tokens | None = None,
    ) -> None:
        self._organizations = organizations
        self._locks = locks
        self._sessions = sessions
        self._tokens = tokens

    async def operator(self, api_key: str | None, bearer: str | None) -> Operator:
        """Who manages locks with these credentials; where both are sent, both must agree.

        An API key speaks for its organisation (or is the super key); a token with ``orgId``
        for that organisation, and one without it for its user, who may own locks.

        Raises:
            Unauthenticated: none is sent, or one is not good, or they do not agree.
            IssuerUnavailable: the token cannot be judged right now.
        """
        known = [
            await self._operator_by_api_key(api_key) if api_key is not None else None,
            await self._operator_by_jwt(bearer) if bearer is not None else None,
        ]
        operators = [operator for operator in known if operator is not None]
        if not operators:
            raise Unauthenticated("Send an API key (X-API-Key) or a token (Authorization: Bearer)")
        if len({(operator.scope, operator.is_super) for operator in operators}) > 1:
            raise Unauthenticated("The API key and the token speak for different callers")
        return operators[0]

    async def guest(self, bearer: str | None) -> Guest:
        """Whoever holds a guest link; a token that is not good changes nothing for a public key."""
        if bearer is None:
            return Guest()
        try:
            return Guest(user_id=(await self._claims(bearer)).sub)
        except (Unauthenticated, IssuerUnavailable):
            return Guest()

    async def sign_in(self, token: str) -> NewGuestSession:
        """Begin a guest's session in a browser.

        Raises:
            Unauthenticated: the token is not good.
            IssuerUnavailable, StorageUnavailable: that cannot be found out right now.
        """
        return await self._sessions.begin(await self._claims(token))

    async def session(self, cookie: str | None) -> GuestSession | None:
        """The guest's session that a cookie stands for; None where it is over, or never was."""
        if not cookie:
            return None
        try:
            return await self._sessions.find(cookie)
        except Unauthenticated:
            return None

    async def lock(self, lock_id: int, credential: str | None) -> Lock:
        """The lock that connects with a device token, or with a token that it signed itself.

        Raises:
            Unauthenticated: the same for an unknown lock as for a wrong credential.
        """
        return await self._locks.check(lock_id, credential)

    async def _operator_by_api_key(self, secret: str) -> Operator:
        return await self.operator_by_digest(digest(secret))

    async def operator_by_digest(self, api_key_digest: str) -> Operator:
        """Whom the API key with this digest speaks for, now.

        Raises:
            Unauthenticated: it is not known, or no longer good.
        """
        key = await self._organizations.find_api_key(api_key_digest, clock.now())
        if key is None:
            raise Unauthenticated("The API key is not known, or no longer good")
        name = f"api-key:{key.masked}"
        if key.org_id is None:
            return Operator(is_super=True, name=name)
        return Operator(org_id=key.org_id, name=name)

    async def _operator_by_jwt(self, token: str) -> Operator:
        return (await self.operator_by_token(token))[0]

    async def operator_by_token(self, token: str) -> tuple[Operator, datetime]:
        """Whom a token speaks for, and until when.

        Raises:
            Unauthenticated: it is not good.
            IssuerUnavailable: that cannot be found out right now.
        """
        claims = await self._claims(token)
        if claims.org_id is None:
            return Operator(user_id=claims.sub, name=f"user:{claims.sub}"), claims.exp
        return Operator(org_id=claims.org_id, name=f"service:{claims.sub}"), claims.exp

    async def _claims(self, token: str) -> Claims:
        if self._tokens is None:
            raise Unauthenticated("Tokens are not accepted here")
        return await self._tokens.verify(token)
