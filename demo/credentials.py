"""The demo's own secrets, kept beside its data so that a second start has the same."""

import secrets
from pathlib import Path

import msgspec
from msgspec import Struct, field


def _new_secret() -> str:
    return secrets.token_urlsafe(48)


class Credentials(Struct, frozen=True, kw_only=True, rename="camel"):
    """The secrets behind the demo's tokens, PINs and webhooks, and its API key, shown only once."""

    jwt_secret: str
    pin_secret: str = field(default_factory=_new_secret)
    webhook_secret: str = field(default_factory=_new_secret)
    api_key: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"


def read_credentials(path: Path) -> Credentials:
    """Those in the file; new ones where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Credentials(jwt_secret=_new_secret())


def keep_credentials(path: Path, credentials: Credentials) -> None:
    """Write the file, whole or not at all, readable to this user only."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(credentials))
    new.replace(path)
