"""Operators who are signed in to the dashboard."""

from datetime import datetime

from msgspec import Struct

from server.storage.mongo import Database, Documents, reports_outages


class OperatorSession(Struct, frozen=True, kw_only=True, rename="camel"):
    """A session in a browser; ``id`` is the digest of its cookie.

    It speaks for the API key with ``api_key_digest``, or for what a token said while it was good.
    """

    id: str
    created_at: datetime
    expires_at: datetime
    api_key_digest: str | None = None
    name: str | None = None
    org_id: str | None = None
    user_id: str | None = None


_sessions = Documents(OperatorSession)


@reports_outages
class OperatorSessionStore:
    """The collection ``operatorSessions``; MongoDB removes those that have expired."""

    def __init__(self, database: Database) -> None:
        self._sessions = database["operatorSessions"]

    async def insert(self, session: OperatorSession) -> None:
        """Add a session; its id is random and so never taken."""
        await self._sessions.insert_one(_sessions.write(session))

    async def find(self, session_id: str, now: datetime) -> OperatorSession | None:
        """The session with that id, where it is not over at ``now``."""
        document = await self._sessions.find_one({"_id": session_id, "expiresAt": {"$gt": now}})
        return None if document is None else _sessions.read(document)

    async def remove(self, session_id: str) -> None:
        """End a session."""
        await self._sessions.delete_one({"_id": session_id})
