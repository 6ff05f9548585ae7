"""Part 1, sections 1 and 2: temp keys under their lock, and those of 1 to 50 doors."""

import re

from tests.contract.table import Only, Row, ask
from tests.contract.words import (
    LEGACY_KEY,
    NEW_KEY,
    NOTHING_TO_DO,
    TIME,
    UUID,
    error,
    reply,
)

CREATE = "POST /locks/$lock/create-temp-key"
UPDATE = "POST /locks/$lock/update-temp-key"
DELETE = "POST /locks/$lock/delete-temp-key"
USE = "POST /locks/$lock/use-temp-key"
LIST = "GET /locks/$lock/temp-keys"
OF_KEY = {"tempKeyUuid": "$key"}
UNIFIED = "POST /temp-keys"
DOOR = {
    "id": 1,
    "lockId": "$lock",
    "lockUuid": "$lockUuid",
    "label": None,
    "accessMethod": "key",
}

UNDER_A_LOCK = [
    Row("1", "create-temp-key answers a command reply and the uuid that the client chose", (
        ask(CREATE, LEGACY_KEY, answer=reply("TempKeyCreated") | {"tempKeyUuid": "$new"}),
        ask("GET /temp-keys/$new", who="nobody"))),
    Row("1", "create-temp-key takes maxUses, null or absent for no limit", (
        ask(CREATE, LEGACY_KEY | {"maxUses": 3}, answer=reply("TempKeyCreated", maxUses=3)),
        ask(CREATE, LEGACY_KEY | {"tempKeyUuid": "$new-2", "maxUses": None}),
        ask(CREATE, LEGACY_KEY | {"tempKeyUuid": "$new-3"}),
        ask(LIST, answer={"tempKeys": [{"maxUses": None}, {"maxUses": None}, {"maxUses": 3}]}))),
    Row("1", "create-temp-key takes a whitelist", (
        ask(CREATE, LEGACY_KEY | {"accessMode": "user-whitelist", "allowedUserIds": ["ada"]},
            answer=reply("TempKeyCreated", accessMode="user-whitelist", allowedUserIds=["ada"])),
        ask("GET /temp-keys/$new", who="owner", status=403))),
    Row("1", "create-temp-key takes a description, which no list shows", (
        ask(CREATE, LEGACY_KEY | {"description": "x" * 2000}),
        ask("GET /temp-keys/$new.json", answer={"description": "x" * 2000}),
        ask(LIST, answer={"tempKeys": [{"uuid": "$new"}]}))),
    Row("1", "create-temp-key refuses an access mode that there is not", (
        ask(CREATE, LEGACY_KEY | {"accessMode": "once"}, status=400,
            answer=error(400, "invalid_input", message=re.compile("accessMode: .*"))),)),
    Row("1", "create-temp-key refuses a uuid that is taken", (
        ask(CREATE, LEGACY_KEY | OF_KEY, status=400, answer=error(400, "invalid_input")),)),
    Row("1", "create-temp-key is not for those without a credential", (
        ask(CREATE, LEGACY_KEY, who="nobody", status=401, answer=error(401, "unauthenticated")),)),
    Row("1", "create-temp-key is for the lock's owner", (
        ask(CREATE, LEGACY_KEY, who="owner", status=404, answer=error(404, "lock_not_found")),
        ask("POST /locks/$lock/SetOwner", {"userId": "owner"}),
        ask(CREATE, LEGACY_KEY, who="owner",
            answer=reply("TempKeyCreated", createdBy="user:owner")))),
    Row("1", "create-temp-key is for the lock's organisation", (
        ask(CREATE, LEGACY_KEY, who="other organisation", status=404),)),
    Row("1", "update-temp-key tells what changed", (
        ask(UPDATE, OF_KEY | {"maxUses": 5, "validUntil": "$muchLater"},
            answer=reply("TempKeyUpdated",
                         changes=Only({"maxUses": 5, "validUntil": "$muchLater"}))),)),
    Row("1", "update-temp-key lifts the limit on uses by null", (
        ask(UPDATE, {"tempKeyUuid": "$once", "maxUses": None},
            answer=reply("TempKeyUpdated", changes=Only({"maxUses": None}))),)),
    Row("1", "update-temp-key changes who may use the key", (
        ask(UPDATE, OF_KEY | {"accessMode": "user-whitelist", "allowedUserIds": ["ada"]},
            answer=reply("TempKeyUpdated", changes=Only(
                {"accessMode": "user-whitelist", "allowedUserIds": ["ada"]}))),)),
    Row("1", "update-temp-key leaves the description as it is", (
        ask(UPDATE, OF_KEY | {"description": "other"}, answer=NOTHING_TO_DO),
        ask("GET /temp-keys/$key.json", answer={"description": None}))),
    Row("1", "update-temp-key that changes nothing has no event", (
        ask(UPDATE, OF_KEY, answer=NOTHING_TO_DO),)),
    Row("1", "update-temp-key refuses what no key may be", (
        ask(UPDATE, OF_KEY | {"validUntil": "$past"}, status=400,
            answer=error(400, "invalid_input")),
        ask(UPDATE, {}, status=400, answer=error(400, "invalid_input")))),
    Row("1", "update-temp-key of a key or lock that is not there is 404", (
        ask(UPDATE, {"tempKeyUuid": "nowhere-at-all"}, status=404,
            answer=error(404, "temp_key_not_found")),
        ask("POST /locks/999/update-temp-key", OF_KEY, status=404,
            answer=error(404, "lock_not_found")))),
    Row("1", "delete-temp-key answers TempKeyDeleted, and again with no event", (
        ask(DELETE, OF_KEY, answer=reply("TempKeyDeleted", tempKeyUuid="$key")),
        ask(DELETE, OF_KEY, answer=NOTHING_TO_DO),
        ask(LIST, answer={"tempKeys": []}))),
    Row("1", "delete-temp-key without a uuid is 400, of none 404", (
        ask(DELETE, {}, status=400, answer=error(400, "invalid_input")),
        ask(DELETE, {"tempKeyUuid": "nowhere-at-all"}, status=404,
            answer=error(404, "temp_key_not_found")))),
    Row("1", "use-temp-key counts a use, with the user", (
        ask(USE, OF_KEY | {"userId": "ada"},
            answer=reply("TempKeyUsed", usedCount=1, userId="ada")),
        ask(LIST, answer={"tempKeys": [{"usedCount": 1}]}))),
    Row("1", "use-temp-key of a key that is used up is 400", (
        ask(USE, {"tempKeyUuid": "$usedUp"}, status=400, answer=error(400, "key_used_up")),)),
    Row("1", "use-temp-key of a lock that is not there is 404", (
        ask("POST /locks/999/use-temp-key", OF_KEY, status=404,
            answer=error(404, "lock_not_found")),)),
    Row("1", "use-temp-key is not for guests", (
        ask(USE, OF_KEY, who="nobody", status=401),)),
    Row("1", "the keys of a lock are listed with these fields and no others", (
        ask(LIST, answer={"tempKeys": []}),
        ask(CREATE, LEGACY_KEY),
        ask(LIST, answer=Only({"tempKeys": [Only({
            "uuid": "$new", "lockId": "#lock", "lockUuid": "$lockUuid", "accessMode": "public",
            "allowedUserIds": [], "validFrom": "$past", "validUntil": "$later", "maxUses": None,
            "usedCount": 0, "createdAt": TIME, "createdBy": str, "status": "valid",
        })]})))),
    *(
        Row("1", f"a listed key is {status}", (
            ask(f"GET /temp-keys/${name}", who="nobody"),
            ask(LIST, answer={"tempKeys": [{"uuid": f"${name}", "status": status}]})))
        for name, status in (("key", "valid"), ("expired", "expired"), ("usedUp", "used-up"),
                             ("early", "not-yet-valid"))
    ),
    Row("1", "a revoked key is not listed", (
        ask("GET /temp-keys/$revoked", who="nobody"), ask(LIST, answer={"tempKeys": []}))),
    Row("1", "the keys of a lock that is not there are 404", (
        ask("GET /locks/999/temp-keys", status=404, answer=error(404, "lock_not_found")),)),
]  # fmt: skip

UNIFIED_KEYS = [
    Row("2", "POST /temp-keys answers 201 with the key and the path of its page", (
        ask(UNIFIED, NEW_KEY, status=201, answer={
            "success": True, "uuid": UUID, "url": re.compile("/temp-keys/" + UUID.pattern),
            "validFrom": "$past", "validUntil": "$later", "doors": [Only(DOOR)], "pin": None}),)),
    Row("2", "POST /collective-temp-keys does the same", (
        ask("POST /collective-temp-keys", NEW_KEY, status=201,
            answer={"success": True, "doors": [Only(DOOR)], "pin": None}),)),
    Row("2", "a key has 1 to 50 doors", (
        ask(UNIFIED, NEW_KEY | {"doors": [{"lockId": "#lock"}] * 50}, status=201),
        ask(UNIFIED, NEW_KEY | {"doors": []}, status=400, answer=error(400, "invalid_input")),
        ask(UNIFIED, NEW_KEY | {"doors": [{"lockId": "#lock"}] * 51}, status=400))),
    Row("2", "a door has a label of at most 120 characters", (
        ask(UNIFIED, NEW_KEY | {"doors": [{"lockId": "$lock", "label": "x" * 120}]}, status=201,
            answer={"doors": [{"label": "x" * 120}]}),
        ask(UNIFIED, NEW_KEY | {"doors": [{"lockId": "$lock", "label": "x" * 121}]}, status=400,
            answer=error(400, "invalid_input", message=re.compile(r"doors\[0\]\.label: .*"))))),
    *(
        Row("2", f"a door that opens by {method} gives the key one PIN" if pin else
            f"a door that opens by {method} gives the key no PIN", (
                ask(UNIFIED, NEW_KEY | {"doors": [{"lockId": "$lock", "accessMethod": method}]},
                    status=201, answer={"doors": [{"accessMethod": method}], "pin": pin}),))
        for method, pin in (("key", None), ("code", re.compile(r"\d{6}")),
                            ("both", re.compile(r"\d{6}")))
    ),
    Row("2", "the PIN is in no JSON but that of the answer that issues the key", (
        ask(UNIFIED, NEW_KEY | {"doors": [{"lockId": "$lock", "accessMethod": "code"}]},
            status=201, answer={"pin": re.compile(r"\d{6}")}),
        ask("GET /temp-keys", answer={"tempKeys": [Only({
            "uuid": UUID, "url": str, "validFrom": "$past", "validUntil": "$later",
            "description": None, "createdBy": str, "createdAt": TIME, "revokedAt": None,
            "doors": [Only(DOOR | {"accessMethod": "code"})],
            # Ours
            "maxUses": None, "usedCount": 0, "accessMode": "public", "allowedUserIds": [],
            "schedule": [],
        })]}))),
    Row("2", "a key needs a credential", (
        ask(UNIFIED, NEW_KEY, who="nobody", status=401, answer=error(401, "unauthenticated")),)),
    Row("2", "a key for a lock that is missing is 404", (
        ask(UNIFIED, NEW_KEY | {"doors": [{"lockId": "#lock"}, {"lockId": "999"}]}, status=404,
            answer=error(404, "lock_not_found")),)),
    Row("2", "GET /temp-keys without a lock lists the caller's keys", (
        ask("GET /temp-keys/$key", who="nobody"),
        ask("GET /temp-keys/$theirKey", who="nobody"),
        ask("GET /temp-keys", answer={"tempKeys": [{"uuid": "$key"}]}))),
    Row("2", "GET /temp-keys of a lock lists every key that touches it", (
        ask("GET /temp-keys/$twoDoors", who="nobody"),
        ask("GET /temp-keys/$onlineKey", who="nobody"),
        ask("GET /temp-keys?lockId=$lock", answer={"tempKeys": [{"uuid": "$twoDoors"}]}))),
    Row("2", "GET /temp-keys needs authority over the lock", (
        ask("GET /temp-keys?lockId=$theirs", status=404, answer=error(404, "lock_not_found")),
        ask("GET /temp-keys", who="nobody", status=401))),
    Row("2", "a revoked key is listed with the time of that", (
        ask("DELETE /temp-keys/$key"),
        ask("GET /temp-keys", answer={"tempKeys": [{"uuid": "$key", "revokedAt": TIME}]}))),
    Row("2", "there is no list of collective keys", (
        ask("GET /collective-temp-keys", status=405, answer_headers={"Allow": "POST"}),)),
    Row("2", "DELETE revokes a key for all its doors", (
        ask("DELETE /temp-keys/$twoDoors", answer=Only({"success": True, "uuid": "$twoDoors"})),
        ask("POST /temp-keys/$twoDoors/doors/1/open", who="nobody", status=400),
        ask("POST /temp-keys/$twoDoors/doors/2/open", who="nobody", status=400,
            answer=error(400, "key_revoked")))),
    Row("2", "DELETE /collective-temp-keys/{uuid} does the same", (
        ask("DELETE /collective-temp-keys/$key", answer=Only({"success": True, "uuid": "$key"})),)),
    Row("2", "DELETE is for those with authority over every lock of the key", (
        ask("DELETE /temp-keys/$key", who="nobody", status=401),
        ask("DELETE /temp-keys/$key", who="other organisation", status=404),
        ask("POST /locks/$lock/SetOwner", {"userId": "owner"}),
        ask("DELETE /temp-keys/$twoLocks", who="owner", status=404,
            answer=error(404, "temp_key_not_found")),
        ask("DELETE /temp-keys/$key", who="owner"))),
    Row("2", "DELETE of a key that is not there is 404", (
        ask("DELETE /temp-keys/nowhere", status=404, answer=error(404, "temp_key_not_found")),)),
    Row("2", "GET /temp-keys/{uuid} is a page, not JSON", (
        ask("GET /temp-keys/$key", who="nobody", Accept="*/*",
            answer_headers={"Content-Type": "text/html.*"}),)),
]  # fmt: skip

ROWS = [*UNDER_A_LOCK, *UNIFIED_KEYS]
