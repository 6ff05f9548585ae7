"""Part 2: what we decided where the API leaves it open, and what we add."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from tests.conftest import JWT_SECRET
from tests.contract.table import Only, Row, ask
from tests.contract.words import NEW_KEY, TEXT, TIME, WINDOW, error
from tests.contract.world import World
from tests.house import BROWSER

ISSUE = "POST /temp-keys"
TAP = "POST /temp-keys/{}/open"
NOT_FOUND = "The requested resource was not found"
FORM = "application/x-www-form-urlencoded"

IN_TIME = datetime.now(UTC) + timedelta(days=1)
CLAIMS = {"sub": "owner", "iss": "latchkey", "aud": "latchkey", "exp": IN_TIME}


def signed(**claims: object) -> str:
    """A token with some of its claims changed, or left out by None."""
    changed = {name: value for name, value in (CLAIMS | claims).items() if value is not None}
    return jwt.encode(changed, JWT_SECRET, algorithm="HS256")


async def with_a_token_of_the_service(world: World) -> None:
    """Ask for the organisation's lock with a token that has its ``orgId``."""
    token = signed(orgId=world.names["org"], sub="a service")
    page = await world.ask("GET /locks/$lock", None, "nobody", {"Authorization": f"Bearer {token}"})
    assert page.status == 200, page.json()


def issued(fact: str, status: int = 201, **fields: Any) -> Row:
    """A row about a key that may or may not be."""
    answer = error(400, "invalid_input") if status == 400 else ...
    return Row("window", fact, (ask(ISSUE, NEW_KEY | fields, status=status, answer=answer),))


async def both_taps_come_at_once(world: World) -> None:
    """Tap twice without an attempt of its own, within three seconds."""
    for _ in range(2):
        await world.ask(TAP.format("$key"), None, "nobody", {})


DECISIONS = [
    Row("errors", "the confirmation of no key is told in the documented words", (
        ask("GET /temp-keys/nowhere/confirmation", who="nobody", status=404, answer=Only(error(
            404, "temp_key_not_found", error="Not Found", message=NOT_FOUND))),)),
    Row("JSON or page", "a browser gets a page for a guest's error, and a program JSON", (
        ask(TAP.format("$revoked"), who="nobody", status=400, Accept=BROWSER, answer=TEXT,
            answer_headers={"Content-Type": "text/html.*", "Vary": "Accept.*"}),
        *(ask(TAP.format("$revoked"), who="nobody", status=400, Accept=accept,
              answer=error(400, "key_revoked")) for accept in ("*/*", "application/json", "")))),
    Row("JSON or page", "a guest's page is HTML for a program, too", (
        ask("GET /temp-keys/$key", who="nobody", Accept="application/json",
            answer_headers={"Content-Type": "text/html.*"}),)),
    Row("offline", "a link does not make the page claim that a door opened", (
        ask("GET /temp-keys/$key/confirmation?offline=false", who="nobody",
            answer="Open command sent"),)),
    Row("auth", "what is public needs no credential, and passes over a wrong one", (
        *(ask(f"GET {path}", who="nobody", status=200, Authorization="Bearer nonsense")
          for path in ("/temp-keys/$key", "/health", "/docs", "/openapi.json")),
        ask(TAP.format("$key"), who="nobody", status=303, Authorization="Bearer nonsense"))),
    Row("auth", "of two credentials both must be good", (
        ask("GET /locks", Authorization="Bearer nonsense", status=401),
        ask("GET /locks", who="owner", X_API_Key="lk_nonsense", status=401))),
    Row("auth", "what belongs to somebody else is 404, as if it were not there", (
        ask("GET /locks/$theirs", status=404, answer=error(404, "lock_not_found")),
        ask("GET /locks/999", status=404, answer=error(404, "lock_not_found")),
        ask("GET /temp-keys/$theirKey.json", status=404,
            answer=error(404, "temp_key_not_found")))),
    Row("auth", "what a caller may not do to its own lock is 403", (
        ask("POST /locks/$lock/ChangeLockUuid", {"newUuid": "$new"}, status=403,
            answer=error(403, "forbidden")),)),
    *(
        Row("JWT", f"a token {said} is refused", (
            ask("GET /locks", who="nobody", Authorization=f"Bearer {token}", status=401,
                answer=error(401, "unauthenticated")),))
        for said, token in (
            ("that is signed by nobody", jwt.encode(CLAIMS, "", algorithm="none")),
            ("that is signed by somebody else", jwt.encode(CLAIMS, "x" * 32, algorithm="HS256")),
            ("of another algorithm", jwt.encode(CLAIMS, JWT_SECRET * 2, algorithm="HS512")),
            ("for somebody else", signed(aud="another service")),
            ("of another issuer", signed(iss="another issuer")),
            ("that has run out", signed(exp=IN_TIME - timedelta(days=9))),
            ("that never runs out", signed(exp=None)),
            ("of nobody", signed(sub=None)),
        )
    ),
    Row("JWT", "a token of a service acts for its organisation", (
        ask("GET /locks/$lock"), with_a_token_of_the_service)),
    issued("a window ends after it begins", 400, validFrom="$later", validUntil="$later"),
    issued("a window is not wholly in the past", 400, validFrom="2020-01-01T00:00:00Z",
           validUntil="2020-01-02T00:00:00Z"),
    issued("a window is five years long at most", 400, validUntil="$tooLate"),
    issued("a window may begin in the past", validFrom="2026-01-01T00:00:00Z"),
    Row("window", "a key is good at validFrom and not at validUntil", (
        *(ask("POST /temp-keys/$key/explain", {"at": at}, answer={"opens": opens})
          for at, opens in (("$keyFrom", True), ("$keyUntil", False))),)),
    Row("uses", "POST /temp-keys takes maxUses, accessMode and allowedUserIds", (
        ask(ISSUE, NEW_KEY | {"maxUses": 2, "accessMode": "user-whitelist",
                              "allowedUserIds": ["ada"]},
            status=201, answer={"maxUses": 2, "accessMode": "user-whitelist",
                                "allowedUserIds": ["ada"]}),
        ask("GET /temp-keys", answer={"tempKeys": [{"maxUses": 2, "usedCount": 0}]}),
        ask("GET /locks/$lock/temp-keys", answer={"tempKeys": [{"usedCount": 0}]}))),
    Row("revoke", "a revoked key keeps its page, and a second DELETE says so", (
        ask("DELETE /temp-keys/$key", answer=Only({"success": True, "uuid": "$key"})),
        ask("DELETE /temp-keys/$key", answer=Only(
            {"success": True, "uuid": "$key", "alreadyRevoked": True})),
        ask("GET /temp-keys/$key", who="nobody", answer="Your key was revoked"))),
    Row("door ids", "doors are numbered from 1, and a lock is a number or a numeric text", (
        ask(ISSUE, {**WINDOW, "doors": [{"lockId": "#lock"}, {"lockId": "$lock"}]}, status=201,
            answer={"doors": [{"id": 1, "lockId": "$lock"}, {"id": 2, "lockId": "$lock"}]}),
        ask(ISSUE, {**WINDOW, "doors": [{}]}, status=400),
        ask(ISSUE, {**WINDOW, "doors": [{"lockId": None}]}, status=400,
            answer=error(400, "invalid_input", message=re.compile(r"doors\[0\]\.lockId: .*"))))),
    Row("PIN", "a PIN has six digits, is shown once and on the guest's page", (
        ask(ISSUE, NEW_KEY | {"doors": [{"lockId": "$lock", "accessMethod": "code"}]}, status=201,
            answer={"pin": re.compile(r"\d{6}")}),
        ask("GET /temp-keys/$panel.json", answer=Only({
            "uuid": "$panel", "url": "/temp-keys/$panel", **dict.fromkeys((
                "validFrom", "validUntil", "createdBy", "createdAt"), str),
            **dict.fromkeys(("description", "revokedAt", "maxUses"), None),
            **dict.fromkeys(("allowedUserIds", "schedule", "doors"), list),
            "usedCount": 0, "accessMode": "public"})))),
    Row("opening while offline", "a tap is answered with offline=true, and told on the page", (
        ask(TAP.format("$key"), who="nobody", status=303, answer_headers={
            "Location": r"/temp-keys/$key/confirmation\?door=1&offline=true&command=\w+"}),)),
    Row("opening while offline", "open-with-pin says that nothing opens", (
        ask("POST /locks/$lock/open-with-pin", {"pin": "$pin"}, who="nobody",
            answer=Only({"success": False, "offline": True})),)),
    Row("opening while offline", "OpenLock is 502", (
        ask("POST /locks/$lock/OpenLock", {}, status=502, answer=error(502, "lock_offline")),)),
    Row("repeated open", "the same attempt is the same command", (
        *[ask(TAP.format("$key"), b"attempt=one-tap-and-its-repeat", who="nobody", status=303,
              Content_Type=FORM)] * 2,
        ask("GET /locks/$lock/commands", answer={"commands": [...]}))),
    Row("repeated open", "the same Idempotency-Key is the same command", (
        *[ask(TAP.format("$key"), who="nobody", status=303, Idempotency_Key="tap-1")] * 2,
        ask("GET /locks/$lock/commands", answer={"commands": [...]}))),
    Row("repeated open", "two taps without either are one", (
        ask("GET /temp-keys/$key", who="nobody"), both_taps_come_at_once,
        ask("GET /locks/$lock/commands", answer={"commands": [...]}))),
    Row("GET never acts", "a GET where a POST opens opens nothing", (
        *(ask(f"GET {path}", status=405, answer_headers={"Allow": "POST"}) for path in (
            "/temp-keys/$key/open", "/locks/$lock/OpenLock", "/locks/$lock/open-with-pin")),
        ask("GET /temp-keys/$key/doors/1/open", who="nobody", status=200),
        ask("GET /locks/$lock/commands", answer={"commands": []}))),
    *(
        Row("paging", f"{path.split('?')[0]} goes on by limit, after and Link", (
            ask("GET /locks/$second"), ask("GET /temp-keys/$twoLocks.json"),
            ask("GET /temp-keys/$key.json"), ask(TAP.format("$key"), who="nobody", status=303),
            ask(f"GET {path}?limit=1", answer_headers={
                "Link": rf"<{path}\?limit=1&after=[^>]+>; rel=\"next\""}),
            ask(f"GET {path}?limit=500", answer_headers={"Link": ""}),
            ask(f"GET {path}?limit=501", status=400)))
        for path in ("/locks", "/temp-keys", "/locks/$lock/temp-keys", "/locks/$lock/commands")
    ),
]  # fmt: skip

LOCK_FIELDS = {
    "id": "#lock", "uuid": "$lockUuid", "name": "Front door", "timeZone": "Europe/Rome",
    "openForSeconds": float, "openConfirmation": False, "heartbeatSeconds": None,
    "connection": {"online": False, "offlineReason": None, "since": None, "lastSeenAt": None,
                   "firmware": None},
    "telemetry": None,
}  # fmt: skip

ADDITIONS = [
    Row("adds", "GET /locks and /locks/{id} show the fleet with its connections", (
        ask("GET /locks/$lock", answer=LOCK_FIELDS),
        ask("GET /locks", answer={"locks": [LOCK_FIELDS]}),
        ask("GET /locks/$online", answer={"connection": {"online": True, "since": TIME}}))),
    Row("adds", "PATCH /locks/{id} changes its settings", (
        ask("PATCH /locks/$lock", {"name": "Gate", "timeZone": "Asia/Tokyo", "openForSeconds": 7.5,
                                   "openConfirmation": True, "heartbeatSeconds": 30.0},
            answer={"name": "Gate", "timeZone": "Asia/Tokyo", "openForSeconds": 7.5,
                    "openConfirmation": True, "heartbeatSeconds": 30.0}),)),
    Row("adds", "POST /locks/{id}/credentials shows a device token once, DELETE takes it back", (
        ask("POST /locks/$lock/credentials", {}, status=201,
            answer={"token": TEXT, "createdAt": TIME}),
        ask("DELETE /locks/$lock/credentials"))),
    Row("adds", "GET /locks/{id}/telemetry has readings as JSON and CSV", (
        ask("GET /locks/$lock/telemetry", answer=Only({"telemetry": []})),
        ask("GET /locks/$lock/telemetry", Accept="text/csv",
            answer_headers={"Content-Type": "text/csv.*"}))),
    Row("adds", "GET /commands/{id} tells what became of an opening", (
        ask("GET /commands/$command", answer={
            "id": "$command", "lockId": "#lock", "tempKeyUuid": "$key", "doorId": 1,
            "state": "queued", "reason": None, "offline": True, "requestedAt": TIME,
            "expiresAt": TIME, "history": [Only({"state": "queued", "at": TIME})]}),)),
    Row("adds", "PATCH /temp-keys/{uuid} changes a key", (
        ask("PATCH /temp-keys/$key", {
            "description": "Ada", "maxUses": 3, "validUntil": "$muchLater",
            "schedule": [{"days": ["mon"], "from": "22:00", "until": "06:00"}],
            "doors": [{"id": 1, "label": "Gate"}]},
            answer={"description": "Ada", "maxUses": 3, "validUntil": "$muchLater",
                    "schedule": [{"days": ["mon"], "from": "22:00", "until": "06:00"}],
                    "doors": [{"label": "Gate"}]}),)),
    Row("adds", "explain tells of every rule, and when the door opens next", (
        ask("POST /temp-keys/$early/explain", {"door": 1}, answer={
            "opens": False, "nextOpening": TIME,
            "rules": [{"rule": "revoked", "passed": True}, {"rule": "window", "passed": False},
                      *[{"passed": True}] * 4]}),)),
    Row("adds", "qr.svg is the guest's link, for operators only", (
        ask("GET /temp-keys/$key/qr.svg", who="nobody", status=401),
        ask("GET /temp-keys/$key/qr.svg", answer_headers={"Content-Type": "image/svg.*"}))),
    Row("adds", "GET /events replays the organisation's events", (
        ask("GET /events", answer={"events": list, "after": str}),
        ask("GET /events?lockId=$theirs", status=404))),
    Row("adds", "health is for everybody", (
        *(ask(f"GET {path}", who="nobody") for path in ("/health", "/health/live",
                                                        "/health/ready")),)),
]  # fmt: skip

ROWS = [*DECISIONS, *ADDITIONS]
