"""How a struct becomes a document and comes back, and what an outage looks like."""

import asyncio
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson.codec_options import CodecOptions
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from pymongo import InsertOne
from pymongo.errors import DuplicateKeyError
from pymongo.write_concern import WriteConcern

from server.domain.commands import CommandState, OpenCommand, Step
from server.domain.errors import StorageUnavailable
from server.domain.locks import AckedReports, Connection, LatestReading, Lock, OfflineReason
from server.domain.organizations import ApiKey, Organization, Scope
from server.domain.protocol import BoltState, DoorState
from server.domain.schedule import ScheduleWindow, Weekday
from server.domain.temp_keys import AccessMethod, AccessMode, Claim, Door, TempKey
from server.storage import mongo
from server.storage.command_store import CommandStore
from server.storage.lock_store import LockStore
from server.storage.mongo import Database, Documents
from server.storage.node_store import NodeStore
from server.storage.organization_store import OrganizationStore
from server.storage.presence_store import PresenceStore
from server.storage.report_store import ReportStore
from server.storage.temp_key_store import TempKeyStore
from tests.house import until

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AS_THE_CLIENT_READS = CodecOptions[dict[str, Any]](tz_aware=True, tzinfo=UTC)

# Any thing of the domain, with times as ``clock`` makes them

texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.integers(0, 2**53 - 1)
measures = st.floats(allow_nan=False, allow_infinity=False)
instants = st.datetimes(timezones=st.just(UTC)).map(
    lambda instant: instant.replace(microsecond=instant.microsecond // 1000 * 1000)
)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


keys = st.builds(
    TempKey,
    uuid=texts,
    org_id=texts,
    created_by=texts,
    created_at=instants,
    valid_from=instants,
    valid_until=instants,
    doors=st.lists(
        st.builds(
            Door,
            id=numbers,
            lock_id=numbers,
            lock_uuid=texts,
            label=maybe(texts),
            access_method=st.sampled_from(AccessMethod),
        ),
        max_size=2,
    ),
    description=maybe(texts),
    access_mode=st.sampled_from(AccessMode),
    allowed_user_ids=st.lists(texts, max_size=2),
    schedule=st.lists(
        st.builds(
            ScheduleWindow,
            days=st.lists(st.sampled_from(Weekday), min_size=1, max_size=2),
            begin=st.just("08:00"),
            until=st.just("17:00"),
        ),
        max_size=1,
    ),
    max_uses=maybe(numbers),
    used_count=numbers,
    revoked_at=maybe(instants),
    claims=st.lists(
        st.builds(
            Claim,
            command_id=texts,
            door_id=numbers,
            lock_id=numbers,
            at=instants,
            expires_at=instants,
            marked=st.booleans(),
        ),
        max_size=2,
    ),
)
commands = st.builds(
    OpenCommand,
    id=texts,
    org_id=texts,
    lock_id=numbers,
    requested_at=instants,
    expires_at=instants,
    temp_key_uuid=maybe(texts),
    door_id=maybe(numbers),
    state=st.sampled_from(CommandState),
    reason=maybe(texts),
    offline=st.booleans(),
    session_id=maybe(texts),
    history=st.lists(st.builds(Step, state=st.sampled_from(CommandState), at=instants), max_size=2),
)
locks = st.builds(
    Lock,
    id=numbers,
    uuid=texts,
    org_id=texts,
    owner_id=maybe(texts),
    name=texts,
    created_at=instants,
    serial_number=maybe(texts),
    open_for_seconds=measures,
    connection=st.builds(
        Connection,
        online=st.booleans(),
        since=maybe(instants),
        session_id=maybe(texts),
        offline_reason=maybe(st.sampled_from(OfflineReason)),
        last_seen_at=maybe(instants),
        firmware=maybe(texts),
    ),
    telemetry=maybe(
        st.builds(
            LatestReading,
            seq=numbers,
            epoch=texts,
            at=instants,
            received_at=instants,
            battery=maybe(measures),
            rssi=maybe(st.integers(-200, 50)),
            door=maybe(st.sampled_from(DoorState)),
            bolt=maybe(st.sampled_from(BoltState)),
        )
    ),
    acked=maybe(st.builds(AckedReports, epoch=texts, seq=numbers)),
    session_count=numbers,
)


def there_and_back(documents: Documents[Any], thing: Struct) -> Struct:
    """``thing`` after it was written as BSON and read again."""
    written = bson.encode(documents.write(thing))
    return documents.read(bson.decode(written, AS_THE_CLIENT_READS))


@given(key=keys)
def test_every_temp_key_is_read_as_it_was_written(key: TempKey):
    assert there_and_back(Documents(TempKey, id_name="uuid"), key) == key


@given(command=commands)
def test_every_command_is_read_as_it_was_written(command: OpenCommand):
    assert there_and_back(Documents(OpenCommand), command) == command


@given(lock=locks)
def test_every_lock_is_read_as_it_was_written(lock: Lock):
    assert there_and_back(Documents(Lock), lock) == lock


def test_a_document_has_its_id_under_the_databases_name_and_leaves_out_what_is_none():
    super_key = ApiKey(id="key", digest="d1gest", masked="lk_…", created_at=NOW)
    assert Documents(ApiKey).write(super_key) == {
        "_id": "key",
        "digest": "d1gest",
        "masked": "lk_…",
        "createdAt": NOW,
    }


def test_fields_of_a_newer_version_are_passed_over():
    document = {"_id": "org", "name": "Hotel", "createdAt": NOW, "stars": 5}
    assert Documents(Organization).read(document).name == "Hotel"


def test_reading_leaves_the_document_as_it_is():
    document = {"_id": "org", "name": "Hotel", "createdAt": NOW}
    Documents(Organization).read(document)
    assert "_id" in document


# The real database


async def test_a_struct_survives_the_real_database(database: Database):
    organizations = Documents(Organization)
    hotel = Organization(id="org", name="Hôtel 🔑", created_at=NOW)
    await database["organizations"].insert_one(organizations.write(hotel))
    document = await database["organizations"].find_one()
    assert document is not None
    assert organizations.read(document) == hotel


async def test_a_database_that_is_there_answers_a_ping(database: Database):
    await mongo.ping(database)


async def test_indexes_that_exist_are_left_as_they_are(database: Database):
    before = await database["locks"].index_information()
    await mongo.create_indexes(database)
    assert await database["locks"].index_information() == before


async def test_writes_are_acknowledged_by_a_majority_and_the_journal(database: Database):
    assert database.write_concern.document == {"w": "majority", "j": True}


# An outage


@pytest.fixture
def database_that_is_away() -> Iterator[Database]:
    """A database at a port that is ours and that nobody listens on."""
    with socket.socket() as port:
        port.bind(("127.0.0.1", 0))
        uri = f"mongodb://127.0.0.1:{port.getsockname()[1]}/?directConnection=true"
        client = mongo.connect(uri, timeout_s=0.1)
        yield client["away"]
        client.close()


async def test_a_database_that_is_away_does_not_answer_a_ping(database_that_is_away: Database):
    with pytest.raises(StorageUnavailable):
        await mongo.ping(database_that_is_away)


async def test_a_database_that_is_away_gets_no_indexes(database_that_is_away: Database):
    with pytest.raises(StorageUnavailable):
        await mongo.create_indexes(database_that_is_away)


async def test_every_store_says_that_a_database_is_away(database_that_is_away: Database):
    asked = [
        LockStore(database_that_is_away).find(17, Scope(org_id="org")),
        LockStore(database_that_is_away).list_of(Scope(org_id="org")),
        PresenceStore(database_that_is_away).count_online(),
        TempKeyStore(database_that_is_away).find("key"),
        TempKeyStore(database_that_is_away).give_use_back("key", "c1"),
        CommandStore(database_that_is_away).advance("c1", CommandState.SENT, NOW),
        CommandStore(database_that_is_away).waiting_for(17, NOW),
        ReportStore(database_that_is_away).list_of_lock(17, "org", 1),
        OrganizationStore(database_that_is_away).find("org"),
        NodeStore(database_that_is_away).remove(["n1"]),
    ]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [StorageUnavailable] * len(asked)


async def test_an_error_that_is_no_outage_is_not_called_one(database: Database):
    key = ApiKey(id="k1", org_id="org", digest="d", masked="m", created_at=NOW)
    await OrganizationStore(database).insert_api_key(key)
    with pytest.raises(DuplicateKeyError):
        await OrganizationStore(database).insert_api_key(key)


async def test_whoever_is_cancelled_in_a_transaction_waits_until_it_is_over(database: Database):
    has_begun = asyncio.Event()

    async def work(transaction: mongo.Transaction) -> None:
        await database["things"].insert_one({"_id": 1}, session=transaction)
        has_begun.set()
        await asyncio.sleep(0.2)

    working = asyncio.create_task(mongo.in_transaction(database.client, work))
    await has_begun.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert await database["things"].find_one({"_id": 1}) == {"_id": 1}


async def test_a_call_that_was_interrupted_as_if_its_node_were_gone_is_an_outage(
    database: Database,
):
    await database["locks"].insert_one({"_id": 1})
    slow, comment = {"$where": "sleep(10000) || true"}, "to be interrupted"

    async def find() -> None:
        with mongo.reporting_outages():
            await database["locks"].find_one(slow, comment=comment)

    finding = asyncio.create_task(find())
    admin = database.client.admin

    async def running() -> int | None:
        every: mongo.Document = {"$currentOp": {}}
        cursor = admin.aggregate([every, {"$match": {"command.comment": comment}}])
        return next(iter([operation["opid"] async for operation in cursor]), None)

    await admin.command("killOp", op=await until(running))
    with pytest.raises(StorageUnavailable):
        await finding


async def test_a_transaction_that_is_ended_whenever_it_is_done_again_is_an_outage(
    database: Database, mongodb_uri: str
):
    client = mongo.connect(mongodb_uri, timeout_s=0.5, node_id="n1")
    things = client[database.name]["things"]

    async def work(transaction: mongo.Transaction) -> None:
        await things.insert_one({"_id": 1}, session=transaction)
        await mongo.end_transactions_of(database.client, ["n1"])

    with pytest.raises(StorageUnavailable), mongo.reporting_outages():
        await mongo.in_transaction(client, work)
    client.close()
    assert await database["things"].count_documents({}) == 0


async def test_a_bulk_that_is_not_certainly_durable_is_an_outage(database: Database):
    bulk = [InsertOne({"_id": 1})]
    unsure = database["things"].with_options(write_concern=WriteConcern(w=2, wtimeout=1))
    with pytest.raises(StorageUnavailable), mongo.reporting_outages():
        await unsure.bulk_write(bulk)
