"""Secrets that must be read again: sealed under a key that comes from the server's environment."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_KEY_BYTES = 32
_NONCE_BYTES = 12
"""What AES-GCM takes (NIST SP 800-38D). Random ones do for 2³² texts under one secret."""


class Seal:
    """Seals short texts (AES-256-GCM), each for one owner only."""

    def __init__(self, secret: str, purpose: bytes) -> None:
        self._cipher = AESGCM(derived_key(secret, purpose))

    def seal(self, owner: str, text: str) -> bytes:
        """A text that can be read under this secret only, and only as that owner's."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, text.encode(), owner.encode())

    def unseal(self, owner: str, sealed: bytes) -> str | None:
        """The text; None where it was sealed under another secret or for another owner."""
        nonce, text = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            return self._cipher.decrypt(nonce, text, owner.encode()).decode()
        except (InvalidTag, ValueError):
            return None


def derived_key(secret: str, purpose: bytes) -> bytes:
    """A key of its own for each purpose, from the server's secret (HKDF-SHA-256)."""
    derivation = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose)
    return derivation.derive(secret.encode())
