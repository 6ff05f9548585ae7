"""What nodes say to each other over NATS: JSON, with fields of newer versions passed over.

Only ids travel, and what a lock is told of a physical key: no temp key, PIN or credential.
"""

from datetime import datetime

from msgspec import Struct

from server.domain.locks import StoredKey
from server.domain.protocol import KeyAction


class OpenRequest(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="open"):
    """Take a command to the lock, which is stored."""

    command_id: str


class KeyRequest(Struct, frozen=True, kw_only=True, rename="camel", tag_field="kind", tag="key"):
    """Tell the lock of a physical key, if this arrives before ``expires_at``."""

    action: KeyAction
    key: StoredKey
    expires_at: datetime


Request = OpenRequest | KeyRequest
"""What is asked of the node that holds a lock."""


class Answer(Struct, frozen=True, kw_only=True):
    """It is done; or it is not, for the reason of that error."""

    error: str | None = None


class LockNews(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something was changed of a lock."""

    lock_id: int
