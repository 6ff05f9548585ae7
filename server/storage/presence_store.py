"""Which lock is in which session, and on which node: changed by compare-and-set only."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import msgspec
from pymongo import ReturnDocument

from server.domain.errors import LockNotFound, Unauthenticated
from server.domain.locks import (
    NEVER_CONNECTED,
    Connection,
    Lock,
    OfflineReason,
    PresenceChange,
)
from server.storage.mongo import Database, Document, Documents, reports_outages

_MOST_UNTOLD = 200
"""As many changes of a lock's presence wait for their events, if nobody records them."""

_locks = Documents(Lock)


@reports_outages
class PresenceStore:
    """The collection ``locks``, as far as their connections are concerned."""

    def __init__(self, database: Database) -> None:
        self._locks = database["locks"]

    async def attach(self, lock: Lock, connection: Connection) -> Lock:
        """Mark the lock online in a new session, whichever session it was in before.

        ``lock`` is as it was when its credential was found good. It is online since
        ``connection.since``, or since its last change, where another node's clock is ahead.

        Returns:
            The lock as it is now; its ``session_count`` is the number of this session.

        Raises:
            LockNotFound: the lock is gone.
            Unauthenticated: its credential was replaced meanwhile.
        """
        document = await self._locks.find_one_and_update(
            {"_id": lock.id, "credentialCount": _count(lock.credential_count)},
            _attaching(connection),
            return_document=ReturnDocument.AFTER,
        )
        if document is not None:
            return _locks.read(document)
        if await self._locks.count_documents({"_id": lock.id}):
            raise Unauthenticated("The lock's credential was replaced")
        raise LockNotFound

    async def detach(
        self,
        lock_id: int,
        session_id: str,
        reason: OfflineReason,
        last_seen_at: datetime,
        now: datetime,
    ) -> bool:
        """Mark the lock offline, unless another session has attached it since.

        Returns:
            Whether this session was still the lock's own.
        """
        done = await self._locks.update_one(
            {"_id": lock_id, "connection.sessionId": session_id, "connection.online": True},
            {
                "$set": {
                    "connection.online": False,
                    "connection.offlineReason": reason.value,
                    "connection.since": now,
                    "connection.lastSeenAt": last_seen_at,
                },
                "$push": _gone_offline(session_id, now, reason),
            },
        )
        return done.modified_count == 1

    async def nodes_with_locks(self) -> set[str]:
        """The nodes that locks are online on, whether or not these nodes live."""
        return set(await self._locks.distinct("connection.nodeId", {"connection.online": True}))

    async def detach_lost(self, lost_nodes: Collection[str], now: datetime) -> int:
        """Mark offline every lock that one of these nodes held, which are no longer alive.

        Returns:
            How many locks that were.
        """
        lost: Document = {
            "connection.online": True,
            "connection.nodeId": {"$in": list(lost_nodes)},
        }
        done = await self._locks.update_many(
            lost,
            [
                {
                    "$set": {
                        "connection.online": False,
                        "connection.offlineReason": OfflineReason.SERVER_LOST.value,
                        "connection.since": now,
                        "presenceChanges": _with_untold("lost", now, OfflineReason.SERVER_LOST),
                    }
                }
            ],
        )
        return done.modified_count

    async def astray(self, sessions: Mapping[int, str]) -> list[Lock]:
        """Those of these locks that are not online in the session which is named for them."""
        if not sessions:
            return []
        wrong: Document = {
            "_id": {"$in": list(sessions)},
            "$or": [
                {"connection.sessionId": {"$nin": list(sessions.values())}},
                {"connection.online": False},
            ],
        }
        return [_locks.read(document) async for document in self._locks.find(wrong)]

    async def left_behind(self, node_id: str, session_ids: Collection[str]) -> list[Lock]:
        """Locks that are online on this node, in none of these sessions."""
        wanted: Document = {
            "connection.online": True,
            "connection.nodeId": node_id,
            "connection.sessionId": {"$nin": list(session_ids)},
        }
        return [_locks.read(document) async for document in self._locks.find(wanted)]

    async def reattach(self, session_ids: Iterable[str], now: datetime) -> int:
        """Mark online again the locks of living sessions whose node was taken for lost.

        Returns:
            How many locks that were.
        """
        wrongly_lost: Document = {
            "connection.sessionId": {"$in": list(session_ids)},
            "connection.offlineReason": OfflineReason.SERVER_LOST.value,
        }
        done = await self._locks.update_many(
            wrongly_lost,
            [
                {
                    "$set": {
                        "connection.online": True,
                        "connection.since": now,
                        "presenceChanges": _with_untold("back", now),
                    }
                },
                {"$unset": "connection.offlineReason"},
            ],
        )
        return done.modified_count

    async def count_online(self) -> int:
        """How many locks are online in the whole installation."""
        return await self._locks.count_documents({"connection.online": True})

    async def count_offline(self) -> dict[str, int]:
        """How many are not, by reason; ``never`` counts those that were never connected."""
        reason = {"$ifNull": ["$connection.offlineReason", NEVER_CONNECTED]}
        cursor = self._locks.aggregate(
            [
                {"$match": {"connection.online": {"$ne": True}}},
                {"$group": {"_id": reason, "count": {"$sum": 1}}},
            ]
        )
        return {group["_id"]: group["count"] async for group in cursor}


def ending_the_session(now: datetime) -> list[Document]:
    """Stages of an update that end a lock's session, if it is in one, with its credential."""
    reason = OfflineReason.CREDENTIAL_REVOKED
    ended = {
        "connection": {
            "$mergeObjects": [
                "$connection",
                {"sessionId": None, "online": False, "offlineReason": reason.value, "since": now},
            ]
        },
        "presenceChanges": _with_untold("revoked", now, reason),
    }
    return [
        {
            "$replaceWith": {
                "$cond": [
                    "$connection.online",
                    {"$mergeObjects": ["$$ROOT", ended]},
                    "$$ROOT",
                ]
            }
        }
    ]


def _attaching(connection: Connection) -> list[Document]:
    """Stages of an update that put a lock into a new session."""
    since = {"$max": ["$connection.since", connection.since]}
    fields = msgspec.to_builtins(connection, builtin_types=(datetime,))
    change = {"id": f"{connection.session_id}/online", "online": True, "at": since}
    untold = {"$concatArrays": [{"$ifNull": ["$presenceChanges", []]}, [change]]}
    return [
        {
            "$set": {
                "connection": {"$mergeObjects": [{"$literal": fields}, {"since": since}]},
                "sessionCount": {"$add": [{"$ifNull": ["$sessionCount", 0]}, 1]},
                "presenceChanges": {"$slice": [untold, -_MOST_UNTOLD]},
            }
        }
    ]


def _count(credential_count: int) -> object:
    # A lock that never had its credential replaced does not have the field.
    return credential_count or {"$in": [0, None]}


def _gone_offline(session_id: str, at: datetime, reason: OfflineReason) -> Document:
    """What ``$push`` takes to keep a change of presence until its event is recorded."""
    change = PresenceChange(id=f"{session_id}/offline", online=False, at=at, reason=reason)
    document = msgspec.to_builtins(change, builtin_types=(datetime,))
    return {"presenceChanges": {"$each": [document], "$slice": -_MOST_UNTOLD}}


def _with_untold(word: str, at: datetime, reason: OfflineReason | None = None) -> Document:
    """The same in a pipeline, for many locks: offline for that reason, or online without one."""
    change_id = {"$concat": ["$connection.sessionId", f"/{word}/{at.timestamp()}"]}
    change = {"id": change_id, "online": reason is None, "at": at}
    if reason is not None:
        change["reason"] = reason.value
    return {"$concatArrays": [{"$ifNull": ["$presenceChanges", []]}, [change]]}
