"""Ids and secrets that the server makes, and the digests that it keeps of them."""

import hashlib
import secrets
import string
import uuid

_ALPHANUMERICS = string.ascii_letters + string.digits
API_KEY_PREFIX = "lk_"


def new_uuid() -> str:
    """A random UUID (version 4): 122 bits that nobody can guess."""
    return str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))


def new_id() -> str:
    """A random id for something that is not addressed by a UUID."""
    return secrets.token_hex(12)


def new_device_token() -> str:
    """A lock's credential: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_api_key() -> str:
    """A partner's credential: 40 random alphanumerics after ``lk_`` (HTTP contract, "API keys")."""
    return API_KEY_PREFIX + "".join(secrets.choice(_ALPHANUMERICS) for _ in range(40))


def masked(secret: str) -> str:
    """A secret as it may be shown: its first eight and last four characters."""
    return f"{secret[:8]}…{secret[-4:]}"


def digest(secret: str) -> str:
    """What is stored of a secret. One SHA-256 is enough: the secrets are random, not chosen."""
    return hashlib.sha256(secret.encode()).hexdigest()
