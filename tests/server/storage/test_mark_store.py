"""Marks in a real MongoDB: whatever waits for the audit trail, wherever it is, is noticed."""

from datetime import UTC, datetime

import pytest

from server.storage.mark_store import QUESTION, MarkStore
from server.storage.mongo import Database, Document

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
MARKED: list[tuple[str, Document]] = [
    ("locks", {"_id": 17, "uuid": "u17", "presenceChanges": [{"id": "c", "at": NOW}]}),
    ("commands", {"_id": "c", "untold": True}),
    ("reports", {"_id": "r", "untold": True}),
    ("events", {"_id": "e", "lockId": 17, "version": 1, "position": 0}),
]
TOLD: list[tuple[str, Document]] = [
    ("locks", {"_id": 18, "uuid": "u18", "presenceChanges": []}),
    ("commands", {"_id": "d"}),
    ("reports", {"_id": "s"}),
    ("events", {"_id": "f", "lockId": 17, "version": 2, "position": 1}),
]


async def _store(database: Database, documents: list[tuple[str, Document]]) -> None:
    for collection, document in documents:
        await database[collection].insert_one(document)


@pytest.mark.parametrize(("collection", "document"), MARKED)
async def test_a_mark_anywhere_is_noticed(database: Database, collection: str, document: Document):
    await _store(database, TOLD)
    await _store(database, [(collection, document)])
    assert await MarkStore(database).any()


async def test_where_everything_is_told_there_is_no_mark(database: Database):
    await _store(database, TOLD)
    assert not await MarkStore(database).any()


async def test_where_there_is_nothing_there_is_no_mark(database: Database):
    assert not await MarkStore(database).any()


async def test_no_collection_is_read_from_one_end_to_the_other(database: Database):
    asked = {"aggregate": "locks", "pipeline": QUESTION, "cursor": {}}
    plan = str(await database.command({"explain": asked, "verbosity": "queryPlanner"}))
    assert plan.count("IXSCAN") >= 4
    assert "COLLSCAN" not in plan
