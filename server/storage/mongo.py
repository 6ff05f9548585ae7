"""The connection to MongoDB, its indexes, and how a struct becomes a document."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Generic, ParamSpec, TypeVar

import msgspec
from motor.motor_asyncio import (
    AsyncIOMotorClient,
    AsyncIOMotorClientSession,
    AsyncIOMotorDatabase,
)
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    NotPrimaryError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WTimeoutError,
)

from server.domain.errors import StorageUnavailable

Document = dict[str, Any]
Database = AsyncIOMotorDatabase[Document]
Client = AsyncIOMotorClient[Document]
Transaction = AsyncIOMotorClientSession
"""A session in which several writes happen all together or not at all."""

StructT = TypeVar("StructT", bound=msgspec.Struct)
StoreT = TypeVar("StoreT")
P = ParamSpec("P")
R = TypeVar("R")

LONGEST_TRANSACTION_S = 5
"""When MongoDB should give up a transaction (``transactionLifetimeLimitSeconds``).

What a node that was killed has left in the middle keeps locks from connecting until then.
"""

_NOT_LET_IN = (13, 18)  # MongoDB's error codes for who may not do this, and for a wrong password
_INTERRUPTED = 11601  # by whoever has taken this node for gone, see ``end_transactions_of``
_DO_IT_AGAIN = "TransientTransactionError"
_END_WITHIN_S = 2.0
_OUTAGES = (ConnectionFailure, ExecutionTimeout, NotPrimaryError, WriteConcernError, WTimeoutError)

_NEWEST_KEY_FIRST = [("createdAt", DESCENDING), ("_id", DESCENDING)]
_INDEXES: Mapping[str, list[IndexModel]] = {
    "locks": [
        IndexModel([("orgId", ASCENDING), ("_id", ASCENDING)]),
        IndexModel([("uuid", ASCENDING)], unique=True),
        IndexModel(
            [("connection.nodeId", ASCENDING)],
            partialFilterExpression={"connection.online": True},
        ),
        IndexModel([("presenceChanges.at", ASCENDING)], sparse=True),
    ],
    "tempKeys": [
        IndexModel([("orgId", ASCENDING), *_NEWEST_KEY_FIRST]),
        IndexModel([("doors.lockId", ASCENDING), *_NEWEST_KEY_FIRST]),
        IndexModel([("createdBy", ASCENDING), *_NEWEST_KEY_FIRST]),
        IndexModel([("claims.expiresAt", ASCENDING)], sparse=True),
        IndexModel([("orgId", ASCENDING), ("validFrom", ASCENDING)]),
    ],
    "commands": [
        IndexModel([("lockId", ASCENDING), ("requestedAt", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("untold", ASCENDING)], partialFilterExpression={"untold": True}),
        IndexModel(
            [("expiresAt", ASCENDING)],
            partialFilterExpression={"state": {"$in": ["queued", "sent", "accepted"]}},
        ),
    ],
    "pins": [
        IndexModel([("locks.lockId", ASCENDING), ("locks.digest", ASCENDING)], unique=True),
        # An hour later, because this goes by MongoDB's clock.
        IndexModel([("validUntil", ASCENDING)], expireAfterSeconds=3600),
    ],
    "guesses": [IndexModel([("forgetAt", ASCENDING)], expireAfterSeconds=0)],
    "events": [
        IndexModel([("lockId", ASCENDING), ("version", ASCENDING)], unique=True),
        IndexModel([("orgId", ASCENDING), ("position", ASCENDING)]),
        IndexModel([("lockId", ASCENDING), ("position", ASCENDING)]),
        IndexModel([("position", ASCENDING), ("lockId", ASCENDING), ("version", ASCENDING)]),
        IndexModel(
            [("lockId", ASCENDING), ("recordedAt", DESCENDING)],
            partialFilterExpression={"type": {"$in": ["LockOnline", "LockOffline"]}},
        ),
    ],
    "reports": [
        IndexModel([("lockId", ASCENDING), ("receivedAt", DESCENDING), ("seq", DESCENDING)]),
        IndexModel([("untold", ASCENDING)], partialFilterExpression={"untold": True}),
    ],
    "webhooks": [IndexModel([("orgId", ASCENDING), ("createdAt", ASCENDING)])],
    "webhookLags": [IndexModel([("webhookId", ASCENDING)])],
    "deliveries": [
        IndexModel([("webhookId", ASCENDING), ("createdAt", DESCENDING), ("_id", DESCENDING)]),
        IndexModel([("forgetAt", ASCENDING)], expireAfterSeconds=0),
    ],
    "operatorSessions": [IndexModel([("expiresAt", ASCENDING)], expireAfterSeconds=0)],
    "apiKeys": [IndexModel([("digest", ASCENDING)], unique=True)],
}


def connect(uri: str, *, timeout_s: float, node_id: str | None = None) -> Client:
    """A client whose every call ends within ``timeout_s`` and whose writes are durable.

    Durable means acknowledged by a majority and journalled, so that what was
    answered survives the loss of a primary. Nothing is contacted yet. MongoDB
    is told the node that it is for: see ``end_transactions_of``.
    """
    return AsyncIOMotorClient(
        uri,
        tz_aware=True,
        tzinfo=UTC,
        w="majority",
        journal=True,
        timeoutMS=int(timeout_s * 1000),
        appname="latchkey" if node_id is None else _client_of(node_id),
    )


async def create_indexes(database: Database) -> None:
    """Make every index that the stores rely on; those that exist are left as they are.

    Raises:
        StorageUnavailable: MongoDB does not answer.
    """
    with reporting_outages():
        for collection, indexes in _INDEXES.items():
            await database[collection].create_indexes(indexes)


async def longest_transaction_s(client: Client) -> int | None:
    """After how many seconds MongoDB gives up a transaction; None where it does not tell us.

    Raises:
        StorageUnavailable: MongoDB does not answer.
    """
    name = "transactionLifetimeLimitSeconds"
    try:
        answer = await client.admin.command({"getParameter": 1, name: 1})
    except OperationFailure as error:
        if error.timeout:
            raise StorageUnavailable from error
        return None  # our user may not ask, as in most hosted installations
    except PyMongoError as error:
        raise StorageUnavailable from error
    return int(answer[name])


async def in_transaction(
    client: Client, work: Callable[[Transaction], Coroutine[Any, Any, None]]
) -> None:
    """Do all of ``work`` or nothing of it; it may be called several times until that is done.

    Whoever is cancelled meanwhile waits until it is over, if that is within seconds: a transaction
    that is left in the middle keeps others from what it has touched, for up to a minute.

    Raises:
        StorageUnavailable: there was no time to do it again, though that was needed.
        Exception: whatever ``work`` raises; then nothing of it is done.
    """

    async def run() -> None:
        async with await client.start_session() as session:
            try:
                await session.with_transaction(work)
            except PyMongoError as error:
                if error.has_error_label(_DO_IT_AGAIN):
                    raise StorageUnavailable from error
                raise

    running = asyncio.create_task(run())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        _, unfinished = await asyncio.wait({running}, timeout=_END_WITHIN_S)
        if unfinished:  # it is tried again and again, because others are in its way
            running.cancel()
            await asyncio.wait({running}, timeout=_END_WITHIN_S)
        if running.done() and not running.cancelled():
            running.exception()  # nobody is left to hear of it
        raise


async def end_transactions_of(client: Client, node_ids: Iterable[str]) -> None:
    """Have MongoDB give up what these nodes, which are gone, have left in the middle.

    Where it does not let us, it does so by itself after ``longest_transaction_s``. A node that
    was thought gone and is not does its transaction again.

    Raises:
        PyMongoError: MongoDB does not answer.
    """
    theirs = {
        "appName": {"$in": [_client_of(node_id) for node_id in node_ids]},
        "transaction": {"$exists": True},
    }
    try:
        every: Document = {"$currentOp": {"idleSessions": True}}
        cursor = client.admin.aggregate([every, {"$match": theirs}])
        left = [{"id": operation["lsid"]["id"]} async for operation in cursor]
        if left:
            await client.admin.command("killSessions", left)
    except OperationFailure as error:
        if error.timeout:
            raise


def _client_of(node_id: str) -> str:
    return f"latchkey {node_id}"


async def ping(database: Database) -> None:
    """Ask MongoDB for a sign of life, as one that can be written to.

    Raises:
        StorageUnavailable: none came within the client's time limit, or there is no primary.
    """
    try:
        hello = await database.command("hello")
    except PyMongoError as error:
        raise StorageUnavailable from error
    if not hello.get("isWritablePrimary"):
        raise StorageUnavailable


def older_than(field: str, after: tuple[datetime, str]) -> Document:
    """What comes after a document, by its time and id, in a list that is sorted by both."""
    at, document_id = after
    return {
        field: {"$lte": at},
        "$or": [{field: {"$lt": at}}, {"_id": {"$lt": document_id}}],
    }


class Documents(Generic[StructT]):
    """Turns one type of struct into documents and back; its ``id_name`` becomes ``_id``."""

    def __init__(self, kind: type[StructT], id_name: str = "id") -> None:
        self._kind = kind
        self._id_name = id_name

    def write(self, thing: StructT) -> Document:
        """The document that stores ``thing``; what is None is left out."""
        fields: Document = msgspec.to_builtins(thing, builtin_types=(datetime,))
        fields["_id"] = fields.pop(self._id_name)
        return {name: value for name, value in fields.items() if value is not None}

    def read(self, document: Mapping[str, Any]) -> StructT:
        """The struct that ``document`` stores; fields that it does not know are passed over."""
        fields = dict(document)
        fields[self._id_name] = fields.pop("_id")
        return msgspec.convert(fields, self._kind)


def reports_outages(store: type[StoreT]) -> type[StoreT]:
    """Make every coroutine method of a store raise ``StorageUnavailable`` where MongoDB is away."""
    for name, member in list(vars(store).items()):
        if inspect.iscoroutinefunction(member):
            setattr(store, name, _reporting_outages(member))
    return store


@contextmanager
def reporting_outages() -> Iterator[None]:
    """Raise ``StorageUnavailable`` where MongoDB is away, lets nobody in, or was told to stop."""
    try:
        yield
    except PyMongoError as error:
        code = error.code if isinstance(error, OperationFailure) else None
        kept_out = code in (*_NOT_LET_IN, _INTERRUPTED)
        # The driver reports these of a bulk in another way than of a single write.
        unsure = isinstance(error, BulkWriteError) and bool(error.details["writeConcernErrors"])
        if isinstance(error, _OUTAGES) or error.timeout or kept_out or unsure:
            raise StorageUnavailable from error
        raise


def _reporting_outages(
    method: Callable[P, Coroutine[Any, Any, R]],
) -> Callable[P, Coroutine[Any, Any, R]]:
    @functools.wraps(method)
    async def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        with reporting_outages():
            return await method(*args, **kwargs)

    return guarded
