"""What is stored of a PIN: a keyed digest to find it by, and a sealed copy for its guest's page."""

import hashlib
import hmac

from server.services.seal import Seal, derived_key


class PinVault:
    """Digests and seals PINs under two keys of its own, both derived from the server's secret.

    There are only a million PINs: without the secret, a plain hash of one could be reversed
    by trying them all.
    """

    def __init__(self, secret: str) -> None:
        self._digest_key = derived_key(secret, b"latchkey pin digest")
        self._seal = Seal(secret, b"latchkey pin seal")

    def digest(self, lock_id: int, pin: str) -> str:
        """What a PIN is found by at a lock (HMAC-SHA-256): different at each lock."""
        text = f"{lock_id}/{pin}".encode()
        return hmac.new(self._digest_key, text, hashlib.sha256).hexdigest()

    def seal(self, key_uuid: str, pin: str) -> bytes:
        """A PIN that only this vault can read, and only as that temp key's."""
        return self._seal.seal(key_uuid, pin)

    def unseal(self, key_uuid: str, sealed: bytes) -> str | None:
        """The PIN; None where it was sealed under another secret or for another key."""
        return self._seal.unseal(key_uuid, sealed)
