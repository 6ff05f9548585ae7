"""Part 1, section 3: what guests and entrance panels ask for."""

from tests.contract.table import Only, Row, ask
from tests.contract.words import TEXT, error
from tests.contract.world import World
from tests.house import BROWSER

OPEN = "POST /temp-keys/{}/open"
DOOR_1 = "POST /temp-keys/{}/doors/1/open"
COLLECTIVE_DOOR_1 = "POST /collective-temp-keys/{}/doors/1/open"
TO_CONFIRMATION = {"Location": r"/temp-keys/{}/confirmation\?door=1&offline=true&command=\w+"}
PIN = "POST /locks/$lock/open-with-pin"
WRONG_PIN = error(401, "invalid_pin", error="Invalid PIN")
REFUSED_KEYS = [
    ("revoked", "revoked", 400, "key_revoked"),
    ("early", "not yet valid", 400, "key_not_yet_valid"),
    ("expired", "expired", 400, "key_expired"),
    ("usedUp", "used up", 400, "key_used_up"),
    ("personal", "somebody else's", 403, "guest_not_allowed"),
]


def confirmed(name: str) -> dict[str, str]:
    """The headers of an answer that sends the guest on to the confirmation."""
    return {header: value.format(f"${name}") for header, value in TO_CONFIRMATION.items()}


async def somebody_guesses(world: World) -> None:
    """Enter wrong PINs at the panel until it takes none."""
    for number in range(6):
        body = {"pin": f"{number}" * 6}
        await world.ask("POST /locks/$lock/open-with-pin", body, "nobody", {})


def wrong_pin(fact: str, pin: object, *before: str) -> Row:
    """A row about a PIN that opens nothing, and for which no reason is given."""
    given = [ask(f"GET /temp-keys/${name}", who="nobody") for name in before]
    step = ask(PIN, {"pin": pin}, who="nobody", status=401, answer=Only(WRONG_PIN))
    return Row("3", fact, (ask("GET /locks/$lock"), *given, step))


PAGES = [
    *(
        Row("3", f"the page of a key that is {state} is shown, for whoever has the link", (
            ask(f"GET /temp-keys/${name}", who="nobody", answer=TEXT),
            ask(f"GET /collective-temp-keys/${name}", who="nobody", answer=TEXT)))
        for name, state in (("key", "valid"), ("early", "not yet valid"), ("expired", "expired"),
                            ("usedUp", "used up"), ("revoked", "revoked"))
    ),
    Row("3", "the page of a personal key is for the users it names", (
        ask("GET /temp-keys/$personal", who="owner", answer=TEXT),
        ask("GET /temp-keys/$personal", who="other owner", status=403),
        ask("GET /temp-keys/$personal", who="nobody", status=401, Accept=BROWSER,
            answer="Please sign in"))),
    Row("3", "the page of a key that there is not is an HTML 404 for a browser", (
        ask("GET /temp-keys/nowhere", who="nobody", status=404, Accept=BROWSER, answer=TEXT,
            answer_headers={"Content-Type": "text/html.*"}),
        ask("GET /collective-temp-keys/nowhere", who="nobody", status=404, Accept=BROWSER,
            answer=TEXT))),
    Row("3", "the confirmation is a page", (
        ask("GET /temp-keys/$key/confirmation?door=1&offline=false", who="nobody", answer=TEXT),
        ask("GET /temp-keys/$key/confirmation", who="nobody", answer=TEXT),
        ask("GET /collective-temp-keys/$key/confirmation", who="nobody", answer=TEXT))),
    Row("3", "the confirmation of a key that there is not is 404", (
        ask("GET /temp-keys/nowhere/confirmation", who="nobody", status=404),)),
    Row("3", "the confirmation takes a door above zero", (
        ask("GET /temp-keys/$key/confirmation?door=0", who="nobody", status=400,
            answer=error(400, "invalid_input")),)),
    *(
        Row("3", f"the confirmation takes offline={said or '(empty)'}", (
            ask(f"GET /temp-keys/$key/confirmation?offline={said}", who="nobody", answer=TEXT),))
        for said in ("true", "false", "null", "")
    ),
]  # fmt: skip

OPENING = [
    Row("3", "opening the first door answers 303 to the confirmation", (
        ask(OPEN.format("$key"), who="nobody", status=303, answer_headers=confirmed("key")),)),
    Row("3", "opening a door by its number answers 303 to the confirmation", (
        ask(DOOR_1.format("$key"), who="nobody", status=303, answer_headers=confirmed("key")),)),
    Row("3", "opening a door of a collective key answers 303 to the confirmation", (
        ask(COLLECTIVE_DOOR_1.format("$key"), who="nobody", status=303,
            answer_headers=confirmed("key")),)),
    Row("3", "a collective key has no first door to open", (
        ask("POST /collective-temp-keys/$key/open", who="nobody", status=404),)),
    Row("3", "opening asks the lock, and says who used the key", (
        ask(OPEN.format("$onlineKey"), who="nobody", status=303, answer_headers={
            "Location": r"/temp-keys/$onlineKey/confirmation\?door=1&offline=false&command=\w+"}),
        ask("GET /locks/$online/commands", answer={"commands": [{"tempKeyUuid": "$onlineKey"}]}),
        ask("GET /locks/$online/temp-keys", answer={"tempKeys": [{"usedCount": 1}]}))),
    *(
        Row("3", f"opening with a key that is {state} is {status}", tuple(
            ask(path.format(f"${name}"), who="other owner", status=status,
                answer=error(status, reason))
            for path in (OPEN, DOOR_1, COLLECTIVE_DOOR_1)))
        for name, state, status, reason in REFUSED_KEYS
    ),
    Row("3", "a personal key opens for a user it names", (
        ask(OPEN.format("$personal"), who="owner", status=303),)),
    Row("3", "opening with a key that there is not is 404", tuple(
        ask(path.format("nowhere"), who="nobody", status=404,
            answer=error(404, "temp_key_not_found"))
        for path in (OPEN, DOOR_1, COLLECTIVE_DOOR_1))),
    Row("3", "opening a door that the key does not have is 404", (
        ask("POST /temp-keys/$key/doors/2/open", who="nobody", status=404,
            answer=error(404, "door_not_found")),)),
    Row("3", "the number of a door is a whole number above zero", (
        ask("POST /temp-keys/$key/doors/0/open", who="nobody", status=400,
            answer=error(400, "invalid_input")),
        ask("POST /temp-keys/$key/doors/one/open", who="nobody", status=400))),
    Row("3", "a door that opens by code only does not open by a tap", (
        ask(DOOR_1.format("$panel"), who="nobody", status=400,
            answer=error(400, "door_needs_code")),)),
    Row("3", "a door that opens by either opens by a tap", (
        ask(DOOR_1.format("$either"), who="nobody", status=303),)),
    Row("3", "revocation is told before the window, and the window before the user", (
        ask("PATCH /temp-keys/$expired", {"accessMode": "user-whitelist",
                                          "allowedUserIds": ["ada"], "validUntil": "$later"}),
        ask(OPEN.format("$expired"), who="other owner", status=403),
        ask("PATCH /temp-keys/$early", {"accessMode": "user-whitelist",
                                        "allowedUserIds": ["ada"]}),
        ask(OPEN.format("$early"), who="other owner", status=400,
            answer=error(400, "key_not_yet_valid")),
        ask("DELETE /temp-keys/$early"),
        ask(OPEN.format("$early"), who="other owner", status=400,
            answer=error(400, "key_revoked")))),
]  # fmt: skip

PINS = [
    Row("3", "a PIN opens its door at the panel, without a credential", (
        ask("GET /temp-keys/$onlinePanel", who="nobody"),
        ask("POST /locks/$online/open-with-pin", {"pin": "$onlinePin"}, who="nobody",
            answer=Only({"success": True, "offline": False})))),
    *(
        Row("3", f"a PIN that is {said} is 400", (
            ask(PIN, body, who="nobody", status=400, answer=error(400, "invalid_input")),))
        for said, body in (("missing", {}), ("three digits long", {"pin": "123"}),
                           ("nine digits long", {"pin": "1" * 9}), ("no digits", {"pin": "12a4"}),
                           ("a number", {"pin": 123456}))
    ),
    wrong_pin("a wrong PIN is 401 Invalid PIN", "0000"),
    wrong_pin("the PIN of a revoked key is the same 401", "$revokedPin", "revokedPanel"),
    wrong_pin("the PIN of a key that is not valid yet is the same 401", "$earlyPin", "earlyPanel"),
    wrong_pin("the PIN of another lock is the same 401", "$onlinePin", "onlinePanel"),
    Row("3", "after too many wrong PINs the panel takes none for a while", (
        ask("GET /locks/$lock"), somebody_guesses,
        ask(PIN, {"pin": "000000"}, who="nobody", status=429,
            answer=error(429, "too_many_tries"), answer_headers={"Retry-After": r"[1-9]\d*"}))),
]  # fmt: skip

ROWS = [*PAGES, *OPENING, *PINS]
