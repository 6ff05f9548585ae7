"""What each command makes of a lock, and what is told of it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import structs

from server.domain import lock_changes
from server.domain import lock_requests as requests
from server.domain.errors import AlreadyExists, InvalidInput
from server.domain.events import event_data, event_type
from server.domain.lock_changes import Change
from server.domain.locks import Lock, Resident, StoredKey

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
AT = "2026-11-23T08:00:00.000Z"
UUID_1 = "0b9a3c1e-5f0e-4c57-9a0e-111111111111"
UUID_2 = "0b9a3c1e-5f0e-4c57-9a0e-222222222222"
ABOUT = {"lockId": 17, "uuid": UUID_1, "timestamp": AT}
FOB = StoredKey(uuid="fob", index_number=3, user_id="ada")
CARD = StoredKey(uuid="card", index_number=4)
ADA = Resident(user_id="ada", name="Ada", email="ada@example.org", phone_number="+48123456789")


def lock_with(**fields: Any) -> Lock:
    lock = Lock(id=17, uuid=UUID_1, org_id="org", name="Door", created_at=NOW)
    return structs.replace(lock, **fields)


def told(change: Change) -> list[tuple[str, dict[str, Any]]]:
    return [(event_type(event), event_data(event)) for event in change.events]


def add_key(lock: Lock, **wanted: Any) -> Change:
    body = requests.BulkAddKeys(keys=[requests.AddKey(**wanted)])
    return lock_changes.add_keys(body, lock, NOW)


# Creating


def test_a_new_lock_has_what_was_asked_for_and_one_event():
    wanted = requests.CreateLock(
        index=17, uuid=UUID(UUID_1), serial_number="A-1", owner_id="ada", keys=[FOB]
    )
    change = lock_changes.create_lock(wanted, "org", NOW)
    assert change.lock == lock_with(name="A-1", serial_number="A-1", owner_id="ada", keys=[FOB])
    key = {"uuid": "fob", "indexNumber": 3, "userId": "ada"}
    data = {**ABOUT, "serialNumber": "A-1", "ownerId": "ada", "keys": [key]}
    assert told(change) == [("LockCreated", data)]


def test_a_lock_without_a_serial_number_is_named_after_its_number():
    wanted = requests.CreateLock(index=17, uuid=UUID(UUID_1))
    change = lock_changes.create_lock(wanted, "org", NOW)
    assert change.lock.name == "Lock 17"
    assert told(change) == [("LockCreated", ABOUT)]


def test_a_new_lock_cannot_have_the_same_key_twice():
    wanted = requests.CreateLock(index=17, uuid=UUID(UUID_1), keys=[FOB, FOB])
    with pytest.raises(InvalidInput, match="once"):
        lock_changes.create_lock(wanted, "org", NOW)


# Keys


def test_a_key_is_added():
    change = add_key(lock_with(keys=[CARD]), key_uuid="fob", key_index_number=3, user_id="ada")
    assert change.lock.keys == [CARD, FOB]
    data = {**ABOUT, "keyUuid": "fob", "keyIndexNumber": 3, "userId": "ada"}
    assert told(change) == [("KeyAdded", data)]


def test_what_is_not_known_of_a_key_is_left_out_of_its_event():
    change = add_key(lock_with(), key_uuid="fob")
    assert told(change) == [("KeyAdded", {**ABOUT, "keyUuid": "fob"})]


@pytest.mark.parametrize(
    "wanted",
    [
        {"key_uuid": "fob", "key_index_number": 3, "user_id": "ada"},
        {"key_uuid": "fob", "key_index_number": 3},
        {"key_uuid": "fob"},
    ],
)
def test_a_key_that_is_known_already_changes_nothing(wanted: dict[str, Any]):
    lock = lock_with(keys=[FOB])
    assert add_key(lock, **wanted) == Change(lock=lock, events=[])


def test_a_known_key_with_another_user_is_replaced_in_its_place():
    change = add_key(lock_with(keys=[FOB, CARD]), key_uuid="fob", user_id="bob")
    assert change.lock.keys == [structs.replace(FOB, user_id="bob"), CARD]
    assert [name for name, _ in told(change)] == ["KeyAdded"]


def test_of_several_keys_only_the_new_ones_are_told():
    body = requests.BulkAddKeys(
        keys=[requests.AddKey(key_uuid=uuid) for uuid in ("fob", "card", "ring", "ring")]
    )
    change = lock_changes.add_keys(body, lock_with(keys=[FOB]), NOW)
    assert [key.uuid for key in change.lock.keys] == ["fob", "card", "ring"]
    assert [data["keyUuid"] for _, data in told(change)] == ["card", "ring"]


def test_a_lock_knows_a_thousand_keys_at_most():
    keys = [StoredKey(uuid=str(number)) for number in range(requests.MOST_KEYS)]
    with pytest.raises(InvalidInput, match="1000"):
        add_key(lock_with(keys=keys), key_uuid="one more")


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"key_uuid": "fob"}, [CARD]),
        ({"key_index_number": 4}, [FOB]),
        ({"key_uuid": "fob", "key_index_number": 3}, [CARD]),
    ],
)
def test_a_key_is_removed_by_either_of_its_names(wanted: dict[str, Any], left: list[StoredKey]):
    change = lock_changes.remove_key(requests.RemoveKey(**wanted), lock_with(keys=[FOB, CARD]), NOW)
    assert change.lock.keys == left


def test_a_removed_key_is_told_by_both_its_names():
    change = lock_changes.remove_key(
        requests.RemoveKey(key_index_number=3), lock_with(keys=[FOB]), NOW
    )
    assert told(change) == [("KeyRemoved", {**ABOUT, "keyUuid": "fob", "keyIndexNumber": 3})]


@pytest.mark.parametrize(
    "wanted",
    [{"key_uuid": "ring"}, {"key_index_number": 9}, {"key_uuid": "fob", "key_index_number": 4}],
)
def test_removing_a_key_that_is_not_there_changes_nothing(wanted: dict[str, Any]):
    lock = lock_with(keys=[FOB, CARD])
    change = lock_changes.remove_key(requests.RemoveKey(**wanted), lock, NOW)
    assert change == Change(lock=lock, events=[])


def test_a_key_to_remove_must_be_named():
    with pytest.raises(InvalidInput, match="keyUuid"):
        lock_changes.remove_key(requests.RemoveKey(), lock_with(), NOW)


def test_writing_a_key_is_told_and_changes_nothing():
    lock = lock_with()
    change = lock_changes.write_key(
        requests.WriteKey(key_uuid="fob", key_index_number=3), lock, NOW
    )
    assert change.lock == lock
    data = {**ABOUT, "keyUuid": "fob", "keyIndexNumber": 3}
    assert told(change) == [("KeyWriteRequested", data)]


# Residents


def add_resident(lock: Lock, **wanted: Any) -> Change:
    return lock_changes.add_resident(requests.AddResident(**wanted), lock, NOW)


def remove_resident(lock: Lock, **wanted: Any) -> Change:
    return lock_changes.remove_resident(requests.RemoveResident(**wanted), lock, NOW)


def test_a_resident_is_added_and_told_without_the_phone_number():
    change = add_resident(
        lock_with(), name="Ada", email="ada@example.org", phone_number="+48123456789", user_id="ada"
    )
    assert change.lock.residents == [ADA]
    data = {**ABOUT, "userId": "ada", "name": "Ada", "email": "ada@example.org"}
    assert told(change) == [("ResidentAdded", data)]


def test_a_resident_without_a_user_id_gets_one():
    change = add_resident(lock_with(), name="Ada", email="ada@example.org")
    assert UUID(change.lock.residents[0].user_id)


def test_a_phone_number_is_the_same_with_either_prefix():
    change = add_resident(lock_with(), name="Ada", phone_number="0048123456789")
    assert change.lock.residents[0].phone_number == "+48123456789"
    again = add_resident(change.lock, name="Ada", phone_number="+48123456789")
    assert not again.events


@pytest.mark.parametrize(
    "wanted",
    [
        {"email": "ADA@example.org"},
        {"phone_number": "0048123456789"},
        {"user_id": "ada"},
        {"user_id": "ada", "email": "ada@example.org"},
    ],
)
def test_a_resident_who_is_known_already_is_not_told_again(wanted: dict[str, Any]):
    lock = lock_with(residents=[structs.replace(ADA, email="ADA@example.org")])
    wanted = {"email": "ADA@example.org"} if "email" in wanted else wanted
    assert not add_resident(lock, name="Ada", **wanted).events


def test_a_known_resident_with_another_name_is_replaced():
    change = add_resident(lock_with(residents=[ADA]), name="Ada L", user_id="ada")
    assert change.lock.residents == [structs.replace(ADA, name="Ada L")]
    assert [name for name, _ in told(change)] == ["ResidentAdded"]


def test_user_ids_differ_by_their_case():
    change = add_resident(lock_with(residents=[ADA]), name="Other", user_id="ADA")
    assert len(change.lock.residents) == 2


@pytest.mark.parametrize(
    "wanted",
    [
        {"email": "Ada@Example.org"},
        {"phone_number": "0048123456789"},
        {"user_id": "ada"},
        {"user_id": "ada", "phone_number": "+48123456789"},
    ],
)
def test_a_resident_is_removed_by_any_name(wanted: dict[str, Any]):
    change = remove_resident(lock_with(residents=[ADA]), **wanted)
    assert change.lock.residents == []
    data = {**ABOUT, "userId": "ada", "email": "ada@example.org"}
    assert told(change) == [("ResidentRemoved", data)]


@pytest.mark.parametrize(
    "wanted", [{"user_id": "bob"}, {"user_id": "ada", "email": "bob@example.org"}]
)
def test_removing_somebody_who_does_not_live_there_changes_nothing(wanted: dict[str, Any]):
    lock = lock_with(residents=[ADA])
    assert remove_resident(lock, **wanted) == Change(lock=lock, events=[])


def test_a_resident_must_be_named():
    with pytest.raises(InvalidInput, match="phoneNumber"):
        add_resident(lock_with(), name="Ada")
    with pytest.raises(InvalidInput, match="phoneNumber"):
        remove_resident(lock_with())


def test_a_lock_has_five_hundred_residents_at_most():
    crowd = [Resident(user_id=str(n), name="N") for n in range(requests.MOST_RESIDENTS)]
    with pytest.raises(InvalidInput, match="500"):
        add_resident(lock_with(residents=crowd), name="Ada", user_id="ada")


# Whose it is


def test_an_owner_is_set_once():
    change = lock_changes.set_owner(requests.SetOwner(user_id="ada"), lock_with(), NOW)
    assert change.lock.owner_id == "ada"
    assert told(change) == [("OwnerSet", {**ABOUT, "userId": "ada"})]
    again = lock_changes.set_owner(requests.SetOwner(user_id="ada"), change.lock, NOW)
    assert not again.events


def test_an_organisation_is_set_once():
    wanted = requests.SetOrganization(org_id="other")
    change = lock_changes.set_organization(wanted, lock_with(), NOW)
    assert change.lock.org_id == "other"
    assert told(change) == [("OrganizationSet", {**ABOUT, "orgId": "other"})]
    assert not lock_changes.set_organization(wanted, change.lock, NOW).events


def test_a_new_uuid_is_told_with_the_one_before():
    wanted = requests.ChangeLockUuid(new_uuid=UUID(UUID_2))
    change = lock_changes.change_uuid(wanted, lock_with(), NOW)
    assert change.lock.uuid == UUID_2
    data = {**ABOUT, "uuid": UUID_2, "newUuid": UUID_2, "previousUuid": UUID_1}
    assert told(change) == [("LockUuidChanged", data)]


def test_the_uuid_that_a_lock_has_is_no_new_one():
    with pytest.raises(AlreadyExists):
        lock_changes.change_uuid(requests.ChangeLockUuid(new_uuid=UUID(UUID_1)), lock_with(), NOW)


def test_an_opening_is_told_with_its_reason_and_request():
    wanted = requests.OpenLock(request_id="r1", reason="delivery")
    change = lock_changes.open_lock(wanted, lock_with(), NOW)
    data = {**ABOUT, "requestId": "r1", "reason": "delivery"}
    assert told(change) == [("LockOpenRequested", data)]


# Settings


def test_settings_that_are_not_sent_stay():
    lock = lock_with(heartbeat_seconds=30.0)
    update = requests.LockUpdate(name="Gate", open_confirmation=True)
    assert lock_changes.updated_lock(lock, update) == structs.replace(
        lock, name="Gate", open_confirmation=True
    )


def test_a_heartbeat_of_its_own_is_taken_back_by_null():
    update = msgspec.json.decode(b'{"heartbeatSeconds": null}', type=requests.LockUpdate)
    changed = lock_changes.updated_lock(lock_with(heartbeat_seconds=30.0), update)
    assert changed.heartbeat_seconds is None


# Limits


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (requests.CreateLock, {"index": 0, "uuid": UUID_1}),
        (requests.CreateLock, {"index": 1, "uuid": "no uuid"}),
        (requests.CreateLock, {"index": 1, "uuid": UUID_1, "serialNumber": "a b"}),
        (requests.CreateLock, {"index": 1, "uuid": UUID_1, "serialNumber": "a\n"}),
        (requests.CreateLock, {"index": 1, "uuid": UUID_1, "vendorName": "a" * 801}),
        (requests.CreateLock, {"index": 1, "uuid": UUID_1, "keys": [{"indexNumber": 1}]}),
        (requests.AddKey, {"keyUuid": ""}),
        (requests.AddKey, {"keyUuid": "fob", "keyIndexNumber": "3"}),
        (requests.AddKey, {"keyUuid": {"$ne": None}}),
        (requests.BulkAddKeys, {"keys": []}),
        (requests.AddResident, {"email": "ada@example.org"}),
        (requests.AddResident, {"name": "", "userId": "ada"}),
        (requests.AddResident, {"name": "Ada", "email": "ada"}),
        (requests.AddResident, {"name": "Ada", "phoneNumber": "123456789"}),
        (requests.AddResident, {"name": "Ada", "phoneNumber": "+48 123 456 789"}),
        (requests.AddResident, {"name": "Ada", "phoneNumber": "+48123456789\n"}),
        (requests.SetOwner, {"userId": ""}),
        (requests.SetOwner, {}),
        (requests.SetOrganization, {}),
        (requests.ChangeLockUuid, {"newUuid": "x"}),
        (requests.LockUpdate, {"name": None}),
        (requests.LockUpdate, {"openForSeconds": 61}),
        (requests.LockUpdate, {"heartbeatSeconds": 0}),
    ],
)
def test_a_body_past_its_limits_is_refused(kind: type[msgspec.Struct], body: dict[str, Any]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(body), type=kind)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (requests.CreateLock, {"index": 1, "uuid": UUID_1, "serialNumber": "aZ0_.,@/:#=[]-"}),
        (requests.CreateLock, {"index": 1, "uuid": UUID_1, "vendorName": "a" * 800}),
        (requests.OpenLock, {}),
        (requests.OpenLock, {"somethingNewer": True}),
        (requests.AddResident, {"name": "Ada", "phoneNumber": "0048123456789"}),
    ],
)
def test_a_body_within_its_limits_is_taken(kind: type[msgspec.Struct], body: dict[str, Any]):
    msgspec.json.decode(msgspec.json.encode(body), type=kind)
