"""The locks and keys that a benchmark is run on, written straight into MongoDB by the thousand."""

from datetime import timedelta

from bench.identities import device_token, key_uuid
from server import clock
from server.app import open_administration
from server.domain.locks import Lock
from server.domain.secrets import digest, new_uuid
from server.domain.temp_keys import Door, TempKey
from server.settings import Settings
from server.storage import mongo

_locks = mongo.Documents(Lock)
_keys = mongo.Documents(TempKey, id_name="uuid")


async def seed_latchkey(uri: str, database: str, locks: int) -> str:
    """An organisation, its locks, and a key for each of them.

    Returns:
        The organisation's API key.
    """
    settings = Settings(mongodb_database=database)
    async with open_administration(settings, uri) as services:
        organization = await services.provisioning.create_organization("Benchmark")
        api_key = await services.provisioning.issue_api_key(organization.id)
    now = clock.now()
    lock_documents: list[mongo.Document] = []
    key_documents: list[mongo.Document] = []
    for number in range(1, locks + 1):
        lock = Lock(
            id=number,
            uuid=new_uuid(),
            org_id=organization.id,
            name=f"Door {number}",
            created_at=now,
        )
        key = TempKey(
            uuid=key_uuid(number),
            org_id=organization.id,
            created_by="benchmark",
            created_at=now,
            valid_from=now - timedelta(hours=1),
            valid_until=now + timedelta(days=1),
            doors=[Door(id=1, lock_id=number, lock_uuid=lock.uuid)],
        )
        credential = {"tokenDigest": digest(device_token(number)), "credentialCount": 1}
        lock_documents.append(_locks.write(lock) | credential)
        key_documents.append(_keys.write(key))
    await _insert(uri, database, lock_documents, key_documents)
    return api_key


async def seed_peer(uri: str, database: str, locks: int) -> None:
    """The same for a peer, as far as it knows such things."""
    now = clock.now()
    numbers = range(1, locks + 1)
    lock_documents = [
        {"_id": number, "name": f"Door {number}", "tokenDigest": digest(device_token(number))}
        for number in numbers
    ]
    key_documents = [
        {
            "_id": key_uuid(number),
            "lockId": number,
            "validFrom": now - timedelta(hours=1),
            "validUntil": now + timedelta(days=1),
        }
        for number in numbers
    ]
    await _insert(uri, database, lock_documents, key_documents)


async def drop(uri: str, database: str) -> None:
    """Forget it all."""
    client = mongo.connect(uri, timeout_s=30)
    await client.drop_database(database)
    client.close()


async def _insert(
    uri: str, database: str, locks: list[mongo.Document], keys: list[mongo.Document]
) -> None:
    client = mongo.connect(uri, timeout_s=60)
    await client[database]["locks"].insert_many(locks)
    await client[database]["tempKeys"].insert_many(keys)
    client.close()
