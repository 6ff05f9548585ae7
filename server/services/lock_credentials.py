"""What a lock proves itself with: a device token, or a token it signs with a key of its own."""

from datetime import datetime, timedelta

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from msgspec import Struct

from server import clock
from server.domain.errors import InvalidInput, Unauthenticated
from server.domain.locks import Lock
from server.domain.organizations import Scope
from server.domain.secrets import digest, new_device_token
from server.services.tokens import LEEWAY, read_claims, read_header
from server.storage.lock_store import LockPublicKey, LockStore

AUDIENCE = "latchkey"
LONGEST_LIFE = timedelta(hours=24)
"""How far ahead a lock's own token may expire ("Connecting" of the lock protocol)."""

_LONGEST_PEM = 2048

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey


class NewDeviceToken(Struct, frozen=True, kw_only=True, rename="camel"):
    """A device token that was just issued; the only time that it is shown."""

    token: str
    created_at: datetime


class LockCredentials:
    """Issues, registers, revokes and checks the one credential of each lock.

    A new credential takes the place of the old one, whichever kind either is. Closing the
    connection that the old one opened is not done here.
    """

    def __init__(self, locks: LockStore) -> None:
        self._locks = locks
        # What is checked where a lock has no such key: nobody has the other half of these.
        decoys = (Ed25519PrivateKey.generate(), generate_private_key(SECP256R1()))
        keys = [decoy.public_key() for decoy in decoys]
        self._decoys = {algorithm_of(key): _pem(key) for key in keys}

    async def rotate(self, scope: Scope, lock_id: int) -> NewDeviceToken:
        """Issue a device token in place of whatever the lock had.

        Raises:
            LockNotFound: there is no such lock in this scope.
        """
        token = new_device_token()
        now = clock.now()
        await self._locks.set_credential(lock_id, scope, now, token_digest=digest(token))
        return NewDeviceToken(token=token, created_at=now)

    async def register_public_key(self, scope: Scope, lock_id: int, pem: str) -> None:
        """Let the lock sign its own tokens, in place of whatever it had.

        Raises:
            InvalidInput: ``publicKey`` is not the PEM of an Ed25519 or P-256 public key.
            LockNotFound: there is no such lock in this scope.
        """
        key = parse_public_key(pem)
        public_key = LockPublicKey(algorithm=algorithm_of(key), pem=_pem(key))
        await self._locks.set_credential(lock_id, scope, clock.now(), public_key=public_key)

    async def revoke(self, scope: Scope, lock_id: int) -> None:
        """Leave the lock without a credential: it cannot connect until it is given one.

        Raises:
            LockNotFound: there is no such lock in this scope.
        """
        await self._locks.set_credential(lock_id, scope, clock.now())

    async def check(self, lock_id: int, presented: str | None) -> Lock:
        """The lock that presents a credential: the only way to learn that there is such a lock.

        What is done, and so how long it takes, depends on what was presented, and not on
        whether the lock exists or what it has.

        Raises:
            Unauthenticated: the same for an unknown lock as for a wrong, expired or revoked
                credential.
        """
        known = None
        if presented is not None:
            # No device token has a dot, and no JSON Web Token is without.
            by = self._by_signature if "." in presented else self._by_device_token
            known = await by(lock_id, presented)
        if known is None:
            raise Unauthenticated("This lock and token are not known")
        return known

    async def _by_device_token(self, lock_id: int, token: str) -> Lock | None:
        return await self._locks.find_by_token(lock_id, digest(token))

    async def _by_signature(self, lock_id: int, token: str) -> Lock | None:
        try:
            algorithm = read_header(token).algorithm
            if algorithm not in self._decoys:
                return None
            registered = await self._locks.find_public_key(lock_id, algorithm)
            key = parse_public_key(registered or self._decoys[algorithm])
            claims = read_claims(token, key, algorithm, audience=AUDIENCE)
        except Unauthenticated:
            return None
        lives_too_long = claims.exp > clock.now() + LONGEST_LIFE + LEEWAY
        if registered is None or claims.sub != str(lock_id) or lives_too_long:
            return None
        # Once more, because it may have been replaced meanwhile.
        return await self._locks.find_by_public_key(lock_id, registered)


def parse_public_key(pem: str) -> PublicKey:
    """The public key of a PEM (``BEGIN PUBLIC KEY``).

    Raises:
        InvalidInput: it is something else, or a key that is neither Ed25519 nor P-256.
    """
    try:
        key = load_pem_public_key(pem[:_LONGEST_PEM].encode("ascii"))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidInput("publicKey", "must be a public key in PEM form") from error
    if isinstance(key, Ed25519PublicKey):
        return key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return key
    raise InvalidInput("publicKey", "must be an Ed25519 or a P-256 key")


def algorithm_of(key: PublicKey) -> str:
    """The one algorithm that a lock with this key may sign with."""
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else "ES256"


def _pem(key: PublicKey) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
