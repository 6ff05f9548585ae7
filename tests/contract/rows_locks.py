"""Part 1, sections 4, 5 and 6: a lock's commands, its queries and its events."""

from typing import Any

from tests.contract.table import Only, Row, ask
from tests.contract.words import (
    ADA,
    NEW_LOCK,
    NOTHING_TO_DO,
    OTHER_UUID,
    SOME_UUID,
    TIME,
    UUID,
    error,
    reply,
)
from tests.contract.world import World

AT_LOCK = "POST /locks/$lock/"
CREATE = "POST /locks/4711/CreateLock"
FOB = {"keyUuid": "fob", "keyIndexNumber": 3, "userId": "ada"}
NOT_THERE = {"message": "The requested resource was not found", "code": 404}

COMMANDS: dict[str, Any] = {
    "OpenLock": {},
    "AddKey": FOB,
    "RemoveKey": {"keyUuid": "fob"},
    "WriteKey": {"keyUuid": "fob"},
    "BulkAddKeys": {"keys": [FOB]},
    "AddResident": ADA,
    "RemoveResident": {"userId": "ada"},
    "SetOwner": {"userId": "ada"},
    "SetOrganization": {"orgId": "$org"},
}


async def many_keys(world: World) -> None:
    """Give the lock as many events as fill more than two pages."""
    keys = [{"keyUuid": f"key-{number}"} for number in range(22)]
    await world.ask("POST /locks/$lock/BulkAddKeys", {"keys": keys}, "organisation", {})


LOCK_COMMANDS = [
    Row("4", "CreateLock answers 201 and LockCreated, and again 200 with no event", (
        ask(CREATE, NEW_LOCK | {"serialNumber": "SN-1", "vendorName": "ACME", "ownerId": "ada",
                                "keys": [{"uuid": "fob", "indexNumber": 3, "userId": "ada"}]},
            status=201, answer={"success": True, "aggregateId": "4711", "version": 1,
                                "event": {"type": "LockCreated"}}),
        ask(CREATE, NEW_LOCK, answer={"success": True, "version": 1, "event": None}))),
    Row("4", "CreateLock needs an index above zero and a uuid", (
        ask("POST /locks/0/CreateLock", NEW_LOCK | {"index": 0}, status=400),
        ask(CREATE, {"index": 4711}, status=400, answer=error(400, "invalid_input")),
        ask(CREATE, NEW_LOCK | {"uuid": "17"}, status=400))),
    Row("4", "CreateLock takes serial numbers of 800 plain characters", (
        ask(CREATE, NEW_LOCK | {"serialNumber": "x" * 801}, status=400),
        ask(CREATE, NEW_LOCK | {"serialNumber": "a b"}, status=400),
        ask(CREATE, NEW_LOCK | {"serialNumber": "aZ09_.,@/:#=[]-" + "x" * 785}, status=201))),
    Row("4", "OpenLock of a lock that is connected opens it, and echoes the request's id", (
        ask("POST /locks/$online/OpenLock", {"requestId": "r1", "reason": "delivery"}, answer={
            "success": True, "aggregateId": "$online", "requestId": "r1",
            "event": {"type": "LockOpenRequested",
                      "data": {"reason": "delivery", "requestId": "r1"}}}),)),
    Row("4", "OpenLock of a lock that is offline is 502", (
        ask(AT_LOCK + "OpenLock", {}, status=502, answer=error(502, "lock_offline")),)),
    Row("4", "OpenLock is refused with no body at all", (
        ask(AT_LOCK + "OpenLock", {}, who="nobody", status=401, answer=None),
        ask(AT_LOCK + "OpenLock", {}, who="other organisation", status=404, answer=None))),
    Row("4", "AddKey needs a uuid of at least one character", (
        ask(AT_LOCK + "AddKey", {}, status=400),
        ask(AT_LOCK + "AddKey", {"keyUuid": ""}, status=400, answer=error(400, "invalid_input")))),
    Row("4", "RemoveKey takes either name, and is 400 with neither", (
        ask(AT_LOCK + "AddKey", FOB), ask(AT_LOCK + "AddKey", {"keyUuid": "card"}),
        ask(AT_LOCK + "RemoveKey", {"keyIndexNumber": 3},
            answer=reply("KeyRemoved", keyUuid="fob")),
        ask(AT_LOCK + "RemoveKey", {"keyUuid": "card"},
            answer=reply("KeyRemoved", keyUuid="card")),
        ask(AT_LOCK + "RemoveKey", {}, status=400, answer=error(400, "invalid_input")))),
    Row("4", "WriteKey of a lock that is offline is 502", (
        ask(AT_LOCK + "WriteKey", FOB, status=502, answer=error(502, "lock_offline")),)),
    Row("4", "BulkAddKeys adds many keys, and needs one", (
        ask(AT_LOCK + "BulkAddKeys", {"keys": [FOB, {"keyUuid": "card"}]},
            answer=Only({"success": True, "lockId": "#lock", "instanceId": str})),
        ask("GET /locks/$lock/details", answer={"keys": [
            Only({"uuid": "fob", "indexNumber": 3, "userId": "ada"}), Only({"uuid": "card"})]}),
        ask(AT_LOCK + "BulkAddKeys", {"keys": []}, status=400))),
    Row("4", "AddResident needs a name, and one of email, phoneNumber and userId", (
        ask(AT_LOCK + "AddResident", {"name": "Ada"}, status=400),
        ask(AT_LOCK + "AddResident", {"userId": "ada"}, status=400),
        ask(AT_LOCK + "AddResident", {"name": "Ada", "email": "ada@example.org"},
            answer=reply("ResidentAdded", name="Ada") | {"email": "ada@example.org"}),
        ask(AT_LOCK + "AddResident", {"name": "Bob", "phoneNumber": "0048123456780"},
            answer=reply("ResidentAdded", name="Bob", userId=str)),
        ask(AT_LOCK + "AddResident", {"name": "Zoe", "userId": "zoe"},
            answer=reply("ResidentAdded", userId="zoe")))),
    Row("4", "RemoveResident takes any of the three names", (
        ask(AT_LOCK + "AddResident", ADA),
        ask(AT_LOCK + "RemoveResident", {"phoneNumber": "0048123456789"},
            answer=reply("ResidentRemoved", userId="ada") | {"email": "ada@example.org"}),
        ask(AT_LOCK + "RemoveResident", {"userId": "ada"}, answer=NOTHING_TO_DO),
        ask(AT_LOCK + "RemoveResident", {}, status=400, answer=error(400, "invalid_input")))),
    Row("4", "SetOrganization gives the lock away", (
        ask(AT_LOCK + "SetOrganization", {"orgId": "$otherOrg"},
            answer=reply("OrganizationSet", orgId="$otherOrg")),
        ask("GET /locks/$lock", status=404), ask("GET /locks/$lock", who="other organisation"))),
    Row("4", "ChangeLockUuid is for the super key", (
        ask(AT_LOCK + "ChangeLockUuid", {"newUuid": OTHER_UUID}, status=403,
            answer=error(403, "forbidden")),
        ask(AT_LOCK + "ChangeLockUuid", {"newUuid": OTHER_UUID}, who="nobody", status=401),
        ask(AT_LOCK + "ChangeLockUuid", {"newUuid": "17"}, who="super", status=400),
        ask(AT_LOCK + "ChangeLockUuid", {"newUuid": OTHER_UUID}, who="super",
            answer=reply("LockUuidChanged", newUuid=OTHER_UUID)),
        ask(AT_LOCK + "ChangeLockUuid", {"newUuid": OTHER_UUID}, who="super", status=409))),
    *(
        Row("4", f"{command} needs a credential, and a lock that is there", (
            ask(AT_LOCK + command, body, who="nobody", status=401),
            ask(f"POST /locks/999/{command}", body, status=404)))
        for command, body in COMMANDS.items()
    ),
    *(
        Row("4", f"{command} that changes nothing has no event", (
            ask(AT_LOCK + command, body), ask(AT_LOCK + command, body, answer=NOTHING_TO_DO)))
        for command, body in COMMANDS.items()
        if command in ("AddKey", "RemoveKey", "AddResident", "RemoveResident", "SetOwner")
    ),
]  # fmt: skip

FACTS = {
    "id": "4711", "lockId": 4711, "uuid": SOME_UUID, "version": 1, "r2Prefix": "",
    "serialNumber": "SN-1", "ownerId": "ada", "orgId": "$org", "organizationId": "$org",
}  # fmt: skip
CREATED = ask(CREATE, NEW_LOCK | {"serialNumber": "SN-1", "ownerId": "ada"}, status=201)

LOCK_QUERIES = [
    Row("5", "basic-info says what a lock is", (
        CREATED, ask("GET /locks/4711/basic-info", answer=Only(FACTS)))),
    Row("5", "details add keys, residents and a timestamp", (
        CREATED, ask("GET /locks/4711/details", answer=Only(
            FACTS | {"keys": [], "residents": [], "timestamp": TIME})))),
    Row("5", "residents are shown with whether there is a phone number", (
        ask(AT_LOCK + "AddResident", ADA),
        ask("GET /locks/$lock/residents", answer=Only({"residents": [Only(
            {"userId": "ada", "name": "Ada", "email": "ada@example.org", "hasPhone": True})]})))),
    *(
        Row("5", f"{query} of a lock that is not there is E4", (
            ask(f"GET /locks/999/{query}", status=404,
                answer=error(404, "lock_not_found", errors=[Only(NOT_THERE)])),))
        for query in ("basic-info", "details", "residents")
    ),
    Row("5", "events come in pages of ten, the last one first", (
        ask("GET /locks/$lock"), many_keys,
        ask("GET /locks/$lock/events", answer={
            "aggregateId": "$lock", "totalEvents": int, "page": 3, "pageSize": 10,
            "totalPages": 3}),
        ask("GET /locks/$lock/events?page=1", answer={"page": 1, "events": [Only({
            "aggregateType": "lock", "aggregateId": "$lock", "version": number, "type": str,
            "timestamp": TIME, "orgId": "$org", "event": dict}) for number in range(1, 11)]}))),
    Row("5", "events of a lock that is not there are E3", (
        ask("GET /locks/999/events", status=404, answer=Only(error(404, "lock_not_found"))),)),
    Row("5", "debug/messages shows commands and what the lock said", (
        ask("GET /temp-keys/$onlineKey", who="nobody"),
        ask("POST /locks/$online/OpenLock", {}),
        ask("GET /locks/$online/debug/messages?limit=50", answer={
            "messages": {"command": [Only({"id": str, "payload": dict, "timestamp": TIME})],
                         "status": list}, "total": int}))),
]  # fmt: skip


def event(name: str, what: str, body: Any, fields: dict[str, Any], *before: Any) -> Row:
    """A row about the fields of an event, and that there are no others."""
    data = Only({"lockId": "#lock", "timestamp": TIME} | fields)
    who = "super" if what == "ChangeLockUuid" else "organisation"
    told = {"event": {"type": name, "data": data}}
    return Row("6", f"{name} has its fields and no others", (
        *before, ask(AT_LOCK + what, body, who=who, answer=told)))  # fmt: skip


OF_LOCK = {"uuid": "$lockUuid"}
OF_KEY = {"tempKeyUuid": "$key", "lockUuid": "$lockUuid"}
ADD_FOB, ADD_ADA = ask(AT_LOCK + "AddKey", FOB), ask(AT_LOCK + "AddResident", ADA)

EVENTS = [
    event("TempKeyCreated", "create-temp-key",
          {"tempKeyUuid": "$new", "accessMode": "user-whitelist", "allowedUserIds": ["ada"],
           "validFrom": "$past", "validUntil": "$later", "maxUses": 2},
          {"tempKeyUuid": "$new", "lockUuid": "$lockUuid", "accessMode": "user-whitelist",
           "allowedUserIds": ["ada"], "validFrom": "$past", "validUntil": "$later", "maxUses": 2,
           "createdBy": str}),
    event("TempKeyUpdated", "update-temp-key", {"tempKeyUuid": "$key", "maxUses": 2},
          OF_KEY | {"changes": Only({"maxUses": 2}), "updatedBy": str}),
    event("TempKeyUsed", "use-temp-key", {"tempKeyUuid": "$key", "userId": "ada"},
          OF_KEY | {"userId": "ada", "usedCount": 1}),
    event("TempKeyDeleted", "delete-temp-key", {"tempKeyUuid": "$key"},
          OF_KEY | {"deletedBy": str}),
    Row("6", "LockCreated has its fields and no others", (
        ask(CREATE, NEW_LOCK | {"serialNumber": "SN-1", "ownerId": "ada",
                                "keys": [{"uuid": "fob", "indexNumber": 3, "userId": "ada"}]},
            status=201, answer={"event": {"type": "LockCreated", "data": Only({
                "lockId": 4711, "uuid": SOME_UUID, "timestamp": TIME, "serialNumber": "SN-1",
                "ownerId": "ada",
                "keys": [Only({"uuid": "fob", "indexNumber": 3, "userId": "ada"})]})}}),)),
    Row("6", "LockOpenRequested has its fields and no others", (
        ask("POST /locks/$online/OpenLock", {"reason": "delivery", "requestId": "r1"},
            answer={"event": {"type": "LockOpenRequested", "data": Only({
                "lockId": "#online", "uuid": UUID, "timestamp": TIME, "reason": "delivery",
                "requestId": "r1"})}}),)),
    event("KeyAdded", "AddKey", FOB, OF_LOCK | FOB),
    event("KeyRemoved", "RemoveKey", {"keyUuid": "fob"},
          OF_LOCK | {"keyUuid": "fob", "keyIndexNumber": 3}, ADD_FOB),
    event("ResidentAdded", "AddResident", ADA,
          OF_LOCK | {"userId": "ada", "name": "Ada", "email": "ada@example.org"}),
    event("ResidentRemoved", "RemoveResident", {"userId": "ada"},
          OF_LOCK | {"userId": "ada", "email": "ada@example.org"}, ADD_ADA),
    event("OwnerSet", "SetOwner", {"userId": "ada"}, OF_LOCK | {"userId": "ada"}),
    event("OrganizationSet", "SetOrganization", {"orgId": "$otherOrg"},
          OF_LOCK | {"orgId": "$otherOrg"}),
    event("LockUuidChanged", "ChangeLockUuid", {"newUuid": OTHER_UUID},
          {"uuid": UUID, "newUuid": OTHER_UUID, "previousUuid": "$lockUuid"}),
    event("KeyAdded", "AddKey", {"keyUuid": "card"}, OF_LOCK | {"keyUuid": "card"})._replace(
        fact="what is not known is left out of an event, not null"),
    Row("6", "a key of two locks has an event on the stream of each", (
        ask("GET /temp-keys/$twoLocks", who="nobody"),
        ask("DELETE /temp-keys/$twoLocks"),
        *(ask(f"GET /locks/${lock}/events", answer={"events": [
            {"type": "LockCreated"}, {"type": "TempKeyCreated"}, {"type": "TempKeyDeleted"}]})
          for lock in ("lock", "second")))),
]  # fmt: skip

ROWS = [*LOCK_COMMANDS, *LOCK_QUERIES, *EVENTS]
