"""What each command makes of a lock: its state afterwards, and the events that tell of it.

A command that changes nothing has no event. Nothing here knows where locks are kept.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, structs

from server.domain import events
from server.domain.errors import AlreadyExists, InvalidInput
from server.domain.events import EventData
from server.domain.lock_requests import (
    MOST_KEYS,
    MOST_RESIDENTS,
    AddKey,
    AddResident,
    BulkAddKeys,
    ChangeLockUuid,
    CreateLock,
    LockUpdate,
    OpenLock,
    RemoveKey,
    RemoveResident,
    SetOrganization,
    SetOwner,
    WriteKey,
    e164,
)
from server.domain.locks import Lock, Resident, StoredKey
from server.domain.secrets import new_uuid
from server.domain.times import wire_time


class Change(Struct, frozen=True, kw_only=True):
    """The lock after a command, and what is told of it."""

    lock: Lock
    events: Sequence[EventData]


def create_lock(wanted: CreateLock, org_id: str, now: datetime) -> Change:
    """A new lock. It is named after its serial number until somebody names it.

    Raises:
        InvalidInput: two of its keys have the same uuid.
    """
    if len({key.uuid for key in wanted.keys}) < len(wanted.keys):
        raise InvalidInput("keys", "each key may be there once")
    lock = Lock(
        id=wanted.index,
        uuid=str(wanted.uuid),
        org_id=org_id,
        owner_id=wanted.owner_id,
        name=wanted.serial_number or f"Lock {wanted.index}",
        created_at=now,
        serial_number=wanted.serial_number,
        vendor_name=wanted.vendor_name,
        keys=wanted.keys,
    )
    return Change(lock=lock, events=[created(lock)])


def created(lock: Lock) -> events.LockCreated:
    """The event of a lock that was added."""
    return events.LockCreated(
        lock_id=lock.id,
        timestamp=wire_time(lock.created_at),
        uuid=lock.uuid,
        serial_number=lock.serial_number,
        keys=lock.keys,
        owner_id=lock.owner_id,
    )


def open_lock(wanted: OpenLock, lock: Lock, now: datetime) -> Change:
    """Somebody asks for the lock to open: told, whatever becomes of it."""
    requested = events.LockOpenRequested(
        **_about(lock, now), reason=wanted.reason, request_id=wanted.request_id
    )
    return Change(lock=lock, events=[requested])


# Physical keys


def add_keys(wanted: BulkAddKeys, lock: Lock, now: datetime) -> Change:
    """The lock knows one key or more; of one that it knows already, what is sent is replaced.

    Raises:
        InvalidInput: the lock can know no more keys.
    """
    keys = {key.uuid: key for key in lock.keys}
    told: list[EventData] = []
    for new in wanted.keys:
        before = keys.get(new.key_uuid)
        after = _key_with(before or StoredKey(uuid=new.key_uuid), new)
        if after == before:
            continue
        keys[after.uuid] = after
        told.append(
            events.KeyAdded(
                **_about(lock, now),
                key_uuid=after.uuid,
                key_index_number=after.index_number,
                user_id=after.user_id,
            )
        )
    if len(keys) > MOST_KEYS and told:
        raise InvalidInput("keys", f"a lock knows {MOST_KEYS} keys at most")
    return Change(lock=structs.replace(lock, keys=list(keys.values())), events=told)


def remove_key(wanted: RemoveKey, lock: Lock, now: datetime) -> Change:
    """The lock forgets a key; the index number may name several.

    Raises:
        InvalidInput: it is not said which.
    """
    if wanted.key_uuid is None and wanted.key_index_number is None:
        raise InvalidInput("keyUuid", "name the key by keyUuid or keyIndexNumber")
    gone = [
        key
        for key in lock.keys
        if wanted.key_uuid in (None, key.uuid)
        and wanted.key_index_number in (None, key.index_number)
    ]
    told = [
        events.KeyRemoved(**_about(lock, now), key_uuid=key.uuid, key_index_number=key.index_number)
        for key in gone
    ]
    left = [key for key in lock.keys if key not in gone]
    return Change(lock=structs.replace(lock, keys=left), events=told)


def write_key(wanted: WriteKey, lock: Lock, now: datetime) -> Change:
    """A key is to be written to the lock: told, whatever becomes of it."""
    requested = events.KeyWriteRequested(
        **_about(lock, now),
        key_uuid=wanted.key_uuid,
        key_index_number=wanted.key_index_number,
    )
    return Change(lock=lock, events=[requested])


# People


def add_resident(wanted: AddResident, lock: Lock, now: datetime) -> Change:
    """Somebody lives there; of somebody who is known already, what is sent is replaced.

    Raises:
        InvalidInput: it is not said who, or nobody more can be noted down.
    """
    known = _identity(wanted.email, wanted.phone_number, wanted.user_id)
    before = resident_in(lock, wanted.email, wanted.phone_number, wanted.user_id)
    fields = {"name": wanted.name, **dict(known)}
    if before is None:
        after = Resident(**{"user_id": new_uuid(), **fields})
    else:
        after = structs.replace(before, **fields)
    if after == before:
        return Change(lock=lock, events=[])
    residents = [one for one in lock.residents if one is not before]
    if len(residents) >= MOST_RESIDENTS:
        raise InvalidInput("name", f"a lock has {MOST_RESIDENTS} residents at most")
    added = events.ResidentAdded(
        **_about(lock, now), user_id=after.user_id, name=after.name, email=after.email
    )
    return Change(lock=structs.replace(lock, residents=[*residents, after]), events=[added])


def remove_resident(wanted: RemoveResident, lock: Lock, now: datetime) -> Change:
    """Somebody lives there no longer.

    Raises:
        InvalidInput: it is not said who.
    """
    known = _identity(wanted.email, wanted.phone_number, wanted.user_id)
    gone = [one for one in lock.residents if all(_fits(one, *is_) for is_ in known)]
    told = [
        events.ResidentRemoved(**_about(lock, now), user_id=one.user_id, email=one.email)
        for one in gone
    ]
    left = [one for one in lock.residents if one not in gone]
    return Change(lock=structs.replace(lock, residents=left), events=told)


def resident_in(
    lock: Lock, email: str | None, phone_number: str | None, user_id: str | None
) -> Resident | None:
    """The resident whom any of these names: the user id counts before email and phone."""
    for name, value in _identity(email, phone_number, user_id):
        for resident in lock.residents:
            if _fits(resident, name, value):
                return resident
    return None


# Whose the lock is, and what it is called


def set_owner(wanted: SetOwner, lock: Lock, now: datetime) -> Change:
    """The lock has another owner."""
    if wanted.user_id == lock.owner_id:
        return Change(lock=lock, events=[])
    told = events.OwnerSet(**_about(lock, now), user_id=wanted.user_id)
    return Change(lock=structs.replace(lock, owner_id=wanted.user_id), events=[told])


def set_organization(wanted: SetOrganization, lock: Lock, now: datetime) -> Change:
    """The lock belongs to another organisation."""
    if wanted.org_id == lock.org_id:
        return Change(lock=lock, events=[])
    told = events.OrganizationSet(**_about(lock, now), org_id=wanted.org_id)
    return Change(lock=structs.replace(lock, org_id=wanted.org_id), events=[told])


def change_uuid(wanted: ChangeLockUuid, lock: Lock, now: datetime) -> Change:
    """The lock has another UUID.

    Raises:
        AlreadyExists: it is the one that the lock has.
    """
    new_uuid_text = str(wanted.new_uuid)
    if new_uuid_text == lock.uuid:
        raise AlreadyExists("The lock has this UUID already")
    changed = structs.replace(lock, uuid=new_uuid_text)
    told = events.LockUuidChanged(
        **_about(changed, now), new_uuid=new_uuid_text, previous_uuid=lock.uuid
    )
    return Change(lock=changed, events=[told])


def updated_lock(lock: Lock, update: LockUpdate) -> Lock:
    """The lock with other settings; whether the time zone is one, the caller checks."""
    return structs.replace(
        lock,
        **{name: value for name, value in structs.asdict(update).items() if value is not UNSET},
    )


def _about(lock: Lock, now: datetime) -> dict[str, Any]:
    return {"lock_id": lock.id, "uuid": lock.uuid, "timestamp": wire_time(now)}


def _key_with(key: StoredKey, sent: AddKey) -> StoredKey:
    return StoredKey(
        uuid=key.uuid,
        index_number=key.index_number if sent.key_index_number is None else sent.key_index_number,
        user_id=key.user_id if sent.user_id is None else sent.user_id,
    )


def _identity(
    email: str | None, phone_number: str | None, user_id: str | None
) -> list[tuple[str, str]]:
    known = {
        "user_id": user_id,
        "email": email,
        "phone_number": None if phone_number is None else e164(phone_number),
    }
    named = [(name, value) for name, value in known.items() if value is not None]
    if not named:
        raise InvalidInput("email", "name the resident by email, phoneNumber or userId")
    return named


def _fits(resident: Resident, name: str, value: str) -> bool:
    own: str | None = getattr(resident, name)
    if name == "email" and own is not None:
        return own.casefold() == value.casefold()
    return own == value
