"""Organisations, their API keys, and who is asking."""

from datetime import datetime

from msgspec import Struct

from server.domain.brand import Brand


class Organization(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who runs locks: every lock and every temp key belongs to one."""

    id: str
    name: str
    created_at: datetime
    brand: Brand = Brand()


class ApiKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A partner's credential; ``digest`` (SHA-256) is all that is kept of its secret.

    Without an ``org_id`` it is the super key, which reaches every organisation.
    """

    id: str
    org_id: str | None = None
    digest: str
    masked: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Scope(Struct, frozen=True, kw_only=True):
    """Whose locks a caller may reach: an organisation's, an owner's, or ``EVERYBODYS``."""

    org_id: str | None = None
    owner_id: str | None = None
    everybodys: bool = False


EVERYBODYS = Scope(everybodys=True)


class Operator(Struct, frozen=True, kw_only=True):
    """A caller who manages locks: an organisation (B2B), an owner (B2C), or the super key.

    Exactly one of ``org_id``, ``user_id`` and ``is_super`` is set. ``name`` goes into the audit.
    """

    name: str
    org_id: str | None = None
    user_id: str | None = None
    is_super: bool = False

    @property
    def scope(self) -> Scope:
        """Whose locks this caller may reach."""
        return EVERYBODYS if self.is_super else Scope(org_id=self.org_id, owner_id=self.user_id)


class Guest(Struct, frozen=True, kw_only=True):
    """Whoever holds a guest link; ``user_id`` where a personal key made them sign in."""

    user_id: str | None = None
