"""JSON Web Tokens (RFC 7519): whether one is good, and what it claims."""

import base64
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Protocol

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt import PyJWK
from jwt.algorithms import HMACAlgorithm
from msgspec import Meta, Struct

from server.domain.errors import Unauthenticated

LEEWAY = timedelta(seconds=30)
LONGEST_TOKEN = 8192
"""In characters. A longer one is refused before anything in it is read."""

_SHORTEST_SECRET_BYTES = 32

Key = PyJWK | Ed25519PublicKey | EllipticCurvePublicKey
Subject = Annotated[str, Meta(min_length=1, max_length=255)]
OrgId = Annotated[str, Meta(min_length=1, max_length=255)]


class TokenPolicy(Struct, frozen=True, kw_only=True):
    """Which tokens are good: of this issuer, for this audience, signed in one of these ways."""

    issuer: str
    audience: str
    algorithms: Collection[str]


class Header(Struct, frozen=True, kw_only=True):
    """What a token says of its signature: nothing to believe before the signature is checked."""

    algorithm: str
    kid: str | None


class Claims(Struct, frozen=True, kw_only=True):
    """What a good token claims; ``org_id`` (``orgId``) where it speaks for an organisation."""

    sub: str
    exp: datetime
    org_id: str | None = None
    jti: str | None = None


class Keys(Protocol):
    """Where the keys are that tokens are checked with."""

    async def find(self, algorithm: str, kid: str | None) -> PyJWK:
        """The key for a token with this header.

        Raises:
            Unauthenticated: there is none.
            IssuerUnavailable: whether there is one cannot be found out right now.
        """
        ...

    async def close(self) -> None:
        """Stop looking for keys."""


class SharedSecret:
    """The one key of a small installation: a secret for HS256, and for nothing else."""

    def __init__(self, secret: str) -> None:
        """Raises ``ValueError`` for less than 32 bytes, or where it is somebody's public key."""
        encoded = secret.encode()
        if len(encoded) < _SHORTEST_SECRET_BYTES:
            raise ValueError(f"must have at least {_SHORTEST_SECRET_BYTES} bytes")
        try:
            # Refuses what everybody may know: PEM, DER, SSH and JSON Web keys.
            HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(encoded)
        except jwt.InvalidKeyError as error:
            raise ValueError("must not be a public key") from error
        self._key = hmac_key(encoded)

    async def find(self, algorithm: str, kid: str | None) -> PyJWK:
        """The secret, whatever key the token names.

        Raises:
            Unauthenticated: the token is not signed with HS256.
        """
        if algorithm != self._key.algorithm_name:
            raise _not_good()
        return self._key

    async def close(self) -> None:
        """There is nothing to stop."""


class Tokens:
    """Checks the tokens that operators and guests bring from their identity provider."""

    def __init__(self, policy: TokenPolicy, keys: Keys) -> None:
        self._policy = policy
        self._keys = keys

    async def verify(self, token: str) -> Claims:
        """What ``token`` claims, where it is good now (30 s more or less).

        Raises:
            Unauthenticated: it is not, for whatever reason.
            IssuerUnavailable: that cannot be found out right now.
        """
        header = read_header(token)
        if header.algorithm not in self._policy.algorithms:
            raise _not_good()
        key = await self._keys.find(header.algorithm, header.kid)
        return read_claims(
            token,
            key,
            header.algorithm,
            audience=self._policy.audience,
            issuer=self._policy.issuer,
        )

    async def close(self) -> None:
        """Stop asking the issuer."""
        await self._keys.close()


def hmac_key(secret: bytes) -> PyJWK:
    """A key that is good for HS256 only, whatever a token's header says."""
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return PyJWK({"kty": "oct", "k": encoded}, algorithm="HS256")


def read_header(token: str) -> Header:
    """What a token says of itself, before it is checked.

    Where a header names a key by URL, or brings one along (``jku``, ``x5u``, ``jwk``), that is
    never looked at. Extensions that must be understood (``crit``) are not understood here.

    Raises:
        Unauthenticated: it is no token, too long, or needs an extension.
    """
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise _not_good()
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise _not_good() from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or "crit" in header:
        raise _not_good()
    return Header(algorithm=algorithm, kid=header.get("kid"))


def read_claims(
    token: str,
    key: Key,
    algorithm: str,
    *,
    audience: str,
    issuer: str | None = None,
    leeway: timedelta = LEEWAY,
) -> Claims:
    """The claims of a token whose signature, ``exp``, ``nbf``, ``aud`` and ``iss`` are good.

    ``iss`` is not asked for where ``issuer`` is None.

    Raises:
        Unauthenticated: something is not good, or ``exp``, ``sub`` or ``aud`` is missing.
    """
    required = ["exp", "sub", "aud"] if issuer is None else ["exp", "sub", "aud", "iss"]
    try:
        payload = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=audience,
            issuer=issuer,
            leeway=leeway,
            options={"require": required},
        )
        read = msgspec.convert(payload, _Payload)
        expires_at = datetime.fromtimestamp(read.exp, UTC)
    except (
        jwt.PyJWTError,
        msgspec.ValidationError,
        ValueError,
        OverflowError,
        OSError,
        RecursionError,
    ) as error:
        raise _not_good() from error
    return Claims(sub=read.sub, exp=expires_at, org_id=read.org_id, jti=read.jti)


class _Payload(Struct, frozen=True, rename="camel"):
    sub: Subject
    exp: int | float
    org_id: OrgId | None = None
    jti: str | None = None


def _not_good() -> Unauthenticated:
    return Unauthenticated("The token is not good, or no longer")
