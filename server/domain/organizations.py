"""Organisations, their API keys, and who is asking."""

from datetime import datetime

from msgspec import Struct


class Organization(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who runs locks: every lock and every temp key belongs to one."""

    id: str
    name: str
    created_at: datetime


class ApiKey(Struct, frozen=True, kw_only=True, rename="camel"):
    """A partner's credential; ``digest`` (SHA-256) is all that is kept of its secret."""

    id: str
    org_id: str
    digest: str
    masked: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class Operator(Struct, frozen=True, kw_only=True):
    """A caller who may manage an organisation's locks and keys; ``name`` goes into the audit."""

    org_id: str
    name: str


class Guest(Struct, frozen=True, kw_only=True):
    """Whoever holds a guest link; ``user_id`` where a personal key made them sign in."""

    user_id: str | None = None
