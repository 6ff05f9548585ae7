"""Who is asking: API keys, JSON Web Tokens, and the tokens of locks."""

from datetime import timedelta
from typing import Any

import jwt
from msgspec import Struct

from server import clock
from server.domain.errors import Unauthenticated
from server.domain.locks import Lock
from server.domain.organizations import Guest, Operator
from server.domain.secrets import digest
from server.storage.lock_store import LockStore
from server.storage.organization_store import OrganizationStore

_LEEWAY = timedelta(seconds=30)


class JwtPolicy(Struct, frozen=True, kw_only=True):
    """Which JSON Web Tokens are good: signed with HS256 by this secret, for this audience."""

    secret: str
    issuer: str
    audience: str


class Auth:
    """Checks credentials; every refusal is the same ``Unauthenticated``."""

    def __init__(
        self, organizations: OrganizationStore, locks: LockStore, jwt_policy: JwtPolicy | None
    ) -> None:
        self._organizations = organizations
        self._locks = locks
        self._jwt = jwt_policy

    async def operator(self, api_key: str | None, bearer: str | None) -> Operator:
        """Who manages an organisation with these credentials; where both are sent, both must agree.

        Raises:
            Unauthenticated: none is sent, or one is not good, or they speak for different
                organisations.
        """
        known = [
            await self._operator_by_api_key(api_key) if api_key is not None else None,
            self._operator_by_jwt(bearer) if bearer is not None else None,
        ]
        operators = [operator for operator in known if operator is not None]
        if not operators:
            raise Unauthenticated("Send an API key (X-API-Key) or a token (Authorization: Bearer)")
        if len({operator.org_id for operator in operators}) > 1:
            raise Unauthenticated("The API key and the token speak for different organisations")
        return operators[0]

    def guest(self, bearer: str | None) -> Guest:
        """Whoever holds a guest link; a token that is not good changes nothing for a public key."""
        if bearer is None:
            return Guest()
        try:
            return Guest(user_id=self._claims(bearer).get("sub"))
        except Unauthenticated:
            return Guest()

    async def lock(self, lock_id: int, token: str | None) -> Lock:
        """The lock that connects with a device token.

        Raises:
            Unauthenticated: the same for an unknown lock as for a wrong token.
        """
        known = None
        if token is not None:
            known = await self._locks.find_by_token(lock_id, digest(token))
        if known is None:
            raise Unauthenticated("This lock and token are not known")
        return known

    async def _operator_by_api_key(self, secret: str) -> Operator:
        key = await self._organizations.find_api_key(digest(secret), clock.now())
        if key is None:
            raise Unauthenticated("The API key is not known, or no longer good")
        return Operator(org_id=key.org_id, name=f"api-key:{key.masked}")

    def _operator_by_jwt(self, token: str) -> Operator:
        claims = self._claims(token)
        org_id = claims.get("orgId")
        if not isinstance(org_id, str):
            raise Unauthenticated("The token names no organisation (orgId)")
        return Operator(org_id=org_id, name=f"jwt:{claims['sub']}")

    def _claims(self, token: str) -> dict[str, Any]:
        if self._jwt is None:
            raise Unauthenticated("Tokens are not accepted here")
        try:
            return jwt.decode(
                token,
                self._jwt.secret,
                algorithms=["HS256"],
                audience=self._jwt.audience,
                issuer=self._jwt.issuer,
                leeway=_LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.InvalidTokenError as error:
            raise Unauthenticated("The token is not good, or no longer") from error
