"""Part 1, section 0: what holds for every route."""

from tests.contract.table import Only, Row, ask
from tests.contract.words import LEGACY_KEY, NEW_KEY, NEW_LOCK, TIME, error
from tests.contract.world import World

CREATE = "POST /locks/4711/CreateLock"
ADD, REMOVE = "POST /locks/4711/AddKey", "POST /locks/4711/RemoveKey"
FOB = {"keyUuid": "fob"}


async def the_api_key_is_rotated(world: World) -> None:
    """Replace the organisation's API key by another, without an overlap."""
    await world.rotate_api_key()


ROWS = [
    Row("0", "an operator sends a token or an API key", (
        ask("GET /locks"), ask("GET /locks", who="owner"),
        ask("GET /locks", who="nobody", status=401, answer=error(401, "unauthenticated"),
            answer_headers={"WWW-Authenticate": "Bearer.*"}))),
    Row("0", "a user acts as the owner of a lock", (
        ask("POST /locks/$lock/SetOwner", {"userId": "owner"}),
        ask("GET /locks", who="owner", answer={"locks": [{"id": "#lock"}]}),
        ask("GET /locks", who="other owner", answer={"locks": []}))),
    Row("0", "an API key reaches its organisation's locks, and the super key all", (
        ask("GET /locks/$theirs", status=404), ask("GET /locks/$theirs", who="other organisation"),
        ask("GET /locks/$theirs", who="super"))),
    Row("0", "what insiders may say of the caller is refused from outside", (
        ask("GET /locks", status=400, X_Org_Id="$org", answer=error(400, "invalid_input")),
        ask("GET /health", who="nobody", status=400, X_User_Id="owner"))),
    Row("0", "an API key that was rotated is refused at once", (
        ask("GET /locks"), the_api_key_is_rotated,
        ask("GET /locks", status=401, answer=error(401, "unauthenticated")))),
    Row("0", "a lock is a whole number above zero in a path", (
        ask("GET /locks/0", status=400, answer=error(400, "invalid_input")),
        ask("GET /locks/one", status=400), ask("GET /locks/1.0", status=400),
        ask("GET /locks/$lockUuid", status=400))),
    Row("0", "a temp key may be any text in a path", (
        ask("GET /temp-keys/any~text.at%20all", who="nobody", status=404),)),
    Row("0", "a time in a request names its offset", (
        ask("POST /temp-keys", NEW_KEY | {"validUntil": "2030-01-01T01:00:00+01:00"}, status=201,
            answer={"validUntil": "2030-01-01T00:00:00.000Z"}),
        ask("POST /temp-keys", NEW_KEY | {"validUntil": "2030-01-01T00:00:00"}, status=400))),
    Row("0", "a command is answered with success, aggregateId, version and event", (
        ask(CREATE, NEW_LOCK, status=201, answer=Only(
            {"success": True, "aggregateId": "4711", "version": 1,
             "event": Only({"type": "LockCreated", "data": dict})})),)),
    Row("0", "the version grows by one with each event, and not without one", (
        ask(CREATE, NEW_LOCK, status=201, answer={"version": 1}),
        ask(ADD, FOB, answer={"version": 2}), ask(ADD, FOB, answer={"version": 2, "event": None}),
        ask(REMOVE, FOB, answer={"version": 3}))),
    Row("0", "E1, E2 and E3 are one body", (
        ask("POST /temp-keys", {}, status=400, answer=Only(error(400, "invalid_input"))),
        ask("POST /locks/$lock/create-temp-key", {}, status=400,
            answer=Only(error(400, "invalid_input"))),
        ask("POST /locks/$lock/AddKey", {}, status=400,
            answer=Only(error(400, "invalid_input"))))),
    Row("0", "a field that is not known is passed over", (
        ask("POST /locks/$lock/create-temp-key", LEGACY_KEY | {"colour": "red"}),
        ask("GET /temp-keys/$new.json", answer={"createdAt": TIME}))),
]  # fmt: skip
