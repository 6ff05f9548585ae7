"""The demo's own secrets, kept beside its data so that a second start has the same."""

import secrets
from pathlib import Path

import msgspec
from msgspec import Struct


class Credentials(Struct, frozen=True, kw_only=True, rename="camel"):
    """What signs the demo's tokens, and the API key that only its issuer ever sees."""

    jwt_secret: str
    api_key: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"


def read_credentials(path: Path) -> Credentials:
    """Those in the file; new ones where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Credentials)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Credentials(jwt_secret=secrets.token_urlsafe(48))


def keep_credentials(path: Path, credentials: Credentials) -> None:
    """Write the file, whole or not at all, readable to this user only."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(credentials))
    new.replace(path)
