"""An issuer's public keys: fetched from its JWKS URL, kept a while, never asked for often."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWKSet
from msgspec import Struct

from server.domain.errors import LatchkeyError, Unauthenticated

log = structlog.get_logger(__name__)

Fetch = Callable[[str], Awaitable[bytes]]
"""Gets what is at a URL; raises ``OSError`` where that does not work within a bounded time."""

PUBLIC_KEY_ALGORITHMS = ("EdDSA", "ES256", "RS256")

_SHORTEST_RSA_BITS = 2048


class IssuerUnavailable(LatchkeyError):
    """The issuer's keys cannot be had right now, so a token cannot be judged."""

    reason = "issuer_unavailable"

    def __init__(self) -> None:
        super().__init__("Tokens cannot be checked right now. Please try again in a moment")


class JwksTimes(Struct, frozen=True, kw_only=True):
    """How long keys are kept, in seconds.

    After ``max_age_s`` they are fetched anew; where that fails, they are good until
    ``stale_for_s`` after they were fetched. Whatever happens, the issuer is asked at most
    once in ``ask_every_s``: strangers may send as many unknown key ids as they like.
    """

    max_age_s: float = 600
    stale_for_s: float = 3600
    ask_every_s: float = 10


class Jwks:
    """The keys at one JWKS URL (RFC 7517) that fit the pinned ``algorithms``, and no others."""

    def __init__(
        self,
        url: str,
        fetch: Fetch,
        algorithms: Collection[str] = PUBLIC_KEY_ALGORITHMS,
        times: JwksTimes | None = None,
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._algorithms = frozenset(algorithms)
        self._times = times or JwksTimes()
        self._keys: list[PyJWK] = []
        self._fetched_at = float("-inf")
        self._asked_at = float("-inf")
        self._asking: asyncio.Task[None] | None = None

    async def find(self, algorithm: str, kid: str | None) -> PyJWK:
        """The key with the id ``kid``; without one, the only key of that algorithm.

        Waits for the issuer where the keys are too old or do not include this one. Callers
        wait for one and the same answer; one that is cancelled does not disturb the others.

        Raises:
            Unauthenticated: the issuer has no such key.
            IssuerUnavailable: it does not answer, and the keys are too old to go on with.
        """
        key = self._pick(algorithm, kid) if self._age_s < self._times.max_age_s else None
        if key is None:
            await self._refresh()
            if self._age_s >= self._times.stale_for_s:
                raise IssuerUnavailable
            key = self._pick(algorithm, kid)
        if key is None:
            raise Unauthenticated("The token is signed with a key that is not known")
        return key

    async def close(self) -> None:
        """Ask no more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._fetched_at

    def _pick(self, algorithm: str, kid: str | None) -> PyJWK | None:
        fitting = [
            key
            for key in self._keys
            if key.algorithm_name == algorithm and (kid is None or key.key_id == kid)
        ]
        if kid is None and len(fitting) > 1:
            return None
        return fitting[0] if fitting else None

    async def _refresh(self) -> None:
        if self._asking is None:
            if time.monotonic() - self._asked_at < self._times.ask_every_s:
                return
            self._asked_at = time.monotonic()
            self._asking = asyncio.create_task(self._ask(), name="jwks")
        await asyncio.shield(self._asking)

    async def _ask(self) -> None:
        try:
            keys = _keys_in(await self._fetch(self._url), self._algorithms)
        except (OSError, ValueError) as error:
            log.warning("jwks_not_fetched", url=self._url, error=str(error))
        else:
            self._keys = keys
            self._fetched_at = time.monotonic()
        finally:
            self._asking = None


def _keys_in(body: bytes, algorithms: frozenset[str]) -> list[PyJWK]:
    """The keys of a JWKS document that may verify a token.

    Raises:
        ValueError: it is no JWKS document, or none of its keys is of use.
    """
    try:
        document = msgspec.json.decode(body, type=dict[str, Any])
        known = PyJWKSet.from_dict(document).keys
    except (msgspec.MsgspecError, jwt.PyJWTError, TypeError, RecursionError) as error:
        raise ValueError(f"not a JWKS document: {error}") from error
    keys = [key for key in known if key.algorithm_name in algorithms and _is_fit(key)]
    if not keys:
        raise ValueError("no key in it fits the algorithms that are accepted here")
    return keys


def _is_fit(key: PyJWK) -> bool:
    """Whether it is a strong public key for signatures, of the kind that its algorithm says."""
    if key.public_key_use not in (None, "sig"):
        return False
    match key.algorithm_name:
        case "EdDSA":
            return isinstance(key.key, Ed25519PublicKey)
        case "ES256":
            is_elliptic = isinstance(key.key, EllipticCurvePublicKey)
            return is_elliptic and isinstance(key.key.curve, SECP256R1)
        case "RS256":
            return isinstance(key.key, RSAPublicKey) and key.key.key_size >= _SHORTEST_RSA_BITS
        case _:
            return False
