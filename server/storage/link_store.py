"""What is behind a guest's link, in one question to MongoDB instead of three or four."""

from server.domain.commands import OpenCommand
from server.domain.errors import OrganizationNotFound, TempKeyNotFound
from server.domain.links import Linked, LinkView
from server.domain.locks import Lock
from server.domain.organizations import Organization
from server.domain.temp_keys import TempKey
from server.storage.mongo import Database, Document, Documents, reports_outages
from server.storage.organization_store import WITHOUT_LOGO

_keys = Documents(TempKey, id_name="uuid")
_locks = Documents(Lock)
_organizations = Documents(Organization)
_commands = Documents(OpenCommand)

_WITH_LOCKS: Document = {
    "$lookup": {
        "from": "locks",
        "localField": "doors.lockId",
        "foreignField": "_id",
        "pipeline": [{"$unset": ["keys", "residents", "presenceChanges"]}],
        "as": "locksOfDoors",
    }
}
_WITH_ORGANIZATION: Document = {
    "$lookup": {
        "from": "organizations",
        "localField": "orgId",
        "foreignField": "_id",
        "pipeline": [{"$project": WITHOUT_LOGO}],
        "as": "issuers",
    }
}


@reports_outages
class LinkStore:
    """The collection ``tempKeys``, with what its keys refer to in other collections."""

    def __init__(self, database: Database) -> None:
        self._keys = database["tempKeys"]

    async def find(self, key_uuid: str) -> Linked:
        """A key with its locks, those that still belong to whoever issued it.

        Of the locks it leaves out who lives there and what physical keys they know.

        Raises:
            TempKeyNotFound: there is no such key.
        """
        document = await self._ask([{"$match": {"_id": key_uuid}}, _WITH_LOCKS])
        key = _keys.read(document)
        return Linked(key=key, locks=_locks_of(key, document))

    async def view(self, key_uuid: str, command_id: str | None = None) -> LinkView:
        """The same, with who issued it, and its command of that id where there is one.

        Raises:
            TempKeyNotFound, OrganizationNotFound: there is no such key, or nobody who issued it.
        """
        named = [{"$match": {"_id": command_id}}]
        with_command = {"$lookup": {"from": "commands", "pipeline": named, "as": "askedAbout"}}
        document = await self._ask(
            [
                {"$match": {"_id": key_uuid}},
                _WITH_LOCKS,
                _WITH_ORGANIZATION,
                *([] if command_id is None else [with_command]),
            ]
        )
        key = _keys.read(document)
        if not document["issuers"]:
            raise OrganizationNotFound
        commands = [_commands.read(command) for command in document.get("askedAbout", [])]
        return LinkView(
            key=key,
            locks=_locks_of(key, document),
            organization=_organizations.read(document["issuers"][0]),
            command=next((one for one in commands if one.temp_key_uuid == key.uuid), None),
        )

    async def _ask(self, question: list[Document]) -> Document:
        found = await self._keys.aggregate(question).to_list(1)
        if not found:
            raise TempKeyNotFound
        return found[0]


def _locks_of(key: TempKey, document: Document) -> dict[int, Lock]:
    locks = (_locks.read(lock) for lock in document["locksOfDoors"])
    return {lock.id: lock for lock in locks if lock.org_id == key.org_id}
