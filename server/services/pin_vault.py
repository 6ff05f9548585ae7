"""What is stored of a PIN: a keyed digest to find it by, and a sealed copy for its guest's page."""

import hashlib
import hmac
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12
"""What AES-GCM takes (NIST SP 800-38D). Random ones do for 2³² PINs under one secret."""


class PinVault:
    """Digests and seals PINs under two keys of its own, both derived from the server's secret.

    There are only a million PINs: without the secret, a plain hash of one could be reversed
    by trying them all.
    """

    def __init__(self, secret: str) -> None:
        self._digest_key = _derived_key(secret, b"latchkey pin digest")
        self._seal = AESGCM(_derived_key(secret, b"latchkey pin seal"))

    def digest(self, lock_id: int, pin: str) -> str:
        """What a PIN is found by at a lock (HMAC-SHA-256): different at each lock."""
        text = f"{lock_id}/{pin}".encode()
        return hmac.new(self._digest_key, text, hashlib.sha256).hexdigest()

    def seal(self, key_uuid: str, pin: str) -> bytes:
        """A PIN that only this vault can read, and only as that temp key's."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._seal.encrypt(nonce, pin.encode(), key_uuid.encode())

    def unseal(self, key_uuid: str, sealed: bytes) -> str | None:
        """The PIN; None where it was sealed under another secret or for another key."""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._seal.decrypt(nonce, text, key_uuid.encode()).decode()
        except InvalidTag:
            return None


def _derived_key(secret: str, purpose: bytes) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose)
    return derivation.derive(secret.encode())
