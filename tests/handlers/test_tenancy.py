"""Who may do what: every method of every route, for every kind of caller."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from handlers.routes import ROUTES
from server import clock
from server.domain.events import RecordedEvent
from server.domain.secrets import new_uuid
from server.domain.times import wire_time
from server.domain.webhooks import Attempt, DeliveryState, NewWebhook, delivery_of
from server.services.registry import Services
from server.storage.delivery_store import DeliveryStore
from server.storage.mongo import Database
from tests.handlers.asking import token_of
from tests.house import House, Page, until

NOWHERE = "http://127.0.0.1:9/"
"""A receiver that does not listen."""
CALLERS = (
    "anonymous",
    "guest",
    "other organisation",
    "other owner",
    "owner",
    "organisation",
    "super",
)


class Row(Struct, frozen=True):
    """One method of one route: what is sent, and the status for each of ``CALLERS``, in order."""

    method: str
    path: str
    statuses: str
    body: Any = None


def _window() -> dict[str, str]:
    now = clock.now()
    return {"validFrom": wire_time(now), "validUntil": wire_time(now + timedelta(hours=1))}


NEW_KEY = {"doors": [{"lockId": "$lock"}], **_window()}
LEGACY_KEY = {"tempKeyUuid": "$new", "accessMode": "public", **_window()}

MANAGED = "401 404 404 404 200 200 200"
"""What belongs to an organisation, and to the owner of its lock."""
ORGANISATIONS = "401 403 404 403 403 200 403"
"""What belongs to an organisation, and is of no use to owners of locks."""
OWN_LIST = "401 200 200 200 200 200 200"
"""A list that shows each caller its own."""
ANYBODY = "200 200 200 200 200 200 200"
LINK_HOLDER = ANYBODY
TAP = "303 303 303 303 303 303 303"

ROWS = [
    Row("GET", "/temp-keys", OWN_LIST),
    Row("POST", "/temp-keys", "401 404 404 404 201 201 201", NEW_KEY),
    Row("GET", "/temp-keys/at-risk", OWN_LIST),
    Row("GET", "/temp-keys/{key_uuid}.json", MANAGED),
    Row("GET", "/temp-keys/{key_uuid}", LINK_HOLDER),
    Row("PATCH", "/temp-keys/{key_uuid}", MANAGED, {"description": "for the tests"}),
    Row("POST", "/temp-keys/{key_uuid}/explain", MANAGED, {}),
    Row("GET", "/temp-keys/{key_uuid}/qr.svg", MANAGED),
    Row("POST", "/temp-keys/{key_uuid}/open", TAP),
    Row("GET", "/temp-keys/{key_uuid}/doors/{door_id}/open", LINK_HOLDER),
    Row("POST", "/temp-keys/{key_uuid}/doors/{door_id}/open", TAP),
    Row("GET", "/temp-keys/{key_uuid}/confirmation", LINK_HOLDER),
    Row("GET", "/temp-keys/{key_uuid}/confirmation/stream", LINK_HOLDER),
    Row("POST", "/collective-temp-keys", "401 404 404 404 201 201 201", NEW_KEY),
    Row("GET", "/collective-temp-keys/{key_uuid}", LINK_HOLDER),
    Row("PATCH", "/collective-temp-keys/{key_uuid}", MANAGED, {}),
    Row("GET", "/collective-temp-keys/{key_uuid}/doors/{door_id}/open", LINK_HOLDER),
    Row("POST", "/collective-temp-keys/{key_uuid}/doors/{door_id}/open", TAP),
    Row("GET", "/collective-temp-keys/{key_uuid}/confirmation", LINK_HOLDER),
    Row("GET", "/locks", OWN_LIST),
    Row("GET", "/locks/{lock_id}", MANAGED),
    Row("PATCH", "/locks/{lock_id}", MANAGED, {"name": "Front door"}),
    Row("GET", "/locks/{lock_id}/basic-info", MANAGED),
    Row("GET", "/locks/{lock_id}/details", MANAGED),
    Row("GET", "/locks/{lock_id}/residents", MANAGED),
    Row("GET", "/locks/{lock_id}/events", MANAGED),
    Row("GET", "/locks/{lock_id}/debug/messages", MANAGED),
    Row("GET", "/locks/{lock_id}/telemetry", MANAGED),
    Row("GET", "/locks/{lock_id}/temp-keys", MANAGED),
    Row("GET", "/locks/{lock_id}/commands", MANAGED),
    Row("GET", "/commands/{command_id}", MANAGED),
    Row("GET", "/events", OWN_LIST),
    Row("GET", "/stream", OWN_LIST),
    Row("POST", "/locks/{lock_id}/create-temp-key", MANAGED, LEGACY_KEY),
    Row(
        "POST",
        "/locks/{lock_id}/update-temp-key",
        MANAGED,
        {"tempKeyUuid": "$key", "maxUses": 100},
    ),
    Row("POST", "/locks/{lock_id}/use-temp-key", MANAGED, {"tempKeyUuid": "$key"}),
    Row("POST", "/locks/{lock_id}/delete-temp-key", MANAGED, {"tempKeyUuid": "$spare"}),
    Row("POST", "/locks/{lock_id}/OpenLock", "401 404 404 404 502 502 502", {}),
    Row("POST", "/locks/{lock_id}/AddKey", MANAGED, {"keyUuid": "card"}),
    Row("POST", "/locks/{lock_id}/WriteKey", "401 404 404 404 502 502 502", {"keyUuid": "card"}),
    Row("POST", "/locks/{lock_id}/RemoveKey", MANAGED, {"keyUuid": "card"}),
    Row("POST", "/locks/{lock_id}/BulkAddKeys", MANAGED, {"keys": [{"keyUuid": "fob"}]}),
    Row("POST", "/locks/{lock_id}/AddResident", MANAGED, {"name": "Zoe", "userId": "zoe"}),
    Row("POST", "/locks/{lock_id}/RemoveResident", MANAGED, {"userId": "zoe"}),
    Row("DELETE", "/collective-temp-keys/{key_uuid}", MANAGED),
    Row("DELETE", "/temp-keys/{key_uuid}", MANAGED),
    Row("POST", "/locks/{lock_id}/credentials", "401 404 404 404 201 201 201", {}),
    Row("DELETE", "/locks/{lock_id}/credentials", MANAGED),
    Row("GET", "/locks/{lock_id}/connect", "401 401 401 401 401 401 401"),
    Row(
        "POST",
        "/locks/{lock_id}/CreateLock",
        # Users own locks and never add them; an organisation adds its own.
        "401 403 403 403 403 200 200",
        {"index": "$lock", "uuid": "$lockUuid", "orgId": "$org"},
    ),
    Row(
        "POST",
        "/locks/{lock_id}/ChangeLockUuid",
        "401 404 404 404 403 403 200",
        {"newUuid": "$new"},
    ),
    Row("POST", "/locks/{lock_id}/SetOwner", MANAGED, {"userId": "ann"}),
    Row("POST", "/locks/{lock_id}/SetOrganization", MANAGED, {"orgId": "$org"}),
    # PINs are off in these tests, for everybody.
    Row("POST", "/locks/{lock_id}/open-with-pin", "503 503 503 503 503 503 503", {"pin": "000000"}),
    Row("GET", "/organization", "401 403 200 403 403 200 403"),
    Row("PATCH", "/organization", "401 403 200 403 403 200 403", {"phone": "+39 06 1234"}),
    Row("GET", "/organizations/{org_id}/logo/{digest}", "404 404 404 404 404 404 404"),
    Row("GET", "/webhooks", "401 403 200 403 403 200 403"),
    Row("POST", "/webhooks", "401 403 201 403 403 201 403", {"url": NOWHERE, "events": ["*"]}),
    Row("GET", "/webhooks/{webhook_id}", ORGANISATIONS),
    Row("PATCH", "/webhooks/{webhook_id}", ORGANISATIONS, {"events": ["*"]}),
    Row("POST", "/webhooks/{webhook_id}/rotate-secret", ORGANISATIONS, {}),
    Row("POST", "/webhooks/{webhook_id}/test", ORGANISATIONS),
    Row("GET", "/webhooks/{webhook_id}/deliveries", ORGANISATIONS),
    Row("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", ORGANISATIONS),
    Row("DELETE", "/webhooks/{webhook_id}", ORGANISATIONS),
    Row("POST", "/session", "401 401 401 401 401 401 401", {"token": "no token"}),
    Row("DELETE", "/session", "204 204 204 204 204 204 204"),
    Row("GET", "/health", ANYBODY),
    Row("GET", "/health/live", ANYBODY),
    Row("GET", "/health/ready", ANYBODY),
    Row("GET", "/metrics", "401 401 401 401 401 401 401"),
    Row("GET", "/openapi.json", ANYBODY),
    Row("GET", "/asyncapi.json", ANYBODY),
    Row("GET", "/docs", ANYBODY),
]


def test_no_method_of_any_route_is_without_an_expectation() -> None:
    expected = {(row.method, row.path) for row in ROWS}
    offered = {(method, path) for path, handler in ROUTES for method in handler.operations}
    assert expected == offered
    assert all(len(row.statuses.split()) == len(CALLERS) for row in ROWS)


@pytest.mark.parametrize("caller", CALLERS)
async def test_each_caller_may_do_what_the_table_says(
    house: House, services: Services, database: Database, caller: str
) -> None:
    names = await _furnish(house, services, database)
    headers = await _credentials(house, services, caller)
    answered: dict[str, int] = {}
    for row in ROWS:
        page = await _ask(house, row, names, headers)
        answered[f"{row.method} {row.path}"] = page.status
    column = CALLERS.index(caller)
    expected = {f"{row.method} {row.path}": int(row.statuses.split()[column]) for row in ROWS}
    assert answered == expected


async def _furnish(house: House, services: Services, database: Database) -> dict[str, str]:
    """A lock that ann owns, two keys to it and a command; what they are called."""
    lock = await house.lock()
    await house.manage("POST", f"/locks/{lock.lock_id}/SetOwner", {"userId": "ann"})
    key, spare = await house.key(lock), await house.key(lock)
    tapped = await house.tap_open(key)
    wanted = NewWebhook(url=NOWHERE, events=["KeyWriteRequested"])
    webhook = (await services.webhooks.create(house.operator, wanted)).webhook
    event = await until(lambda: _an_event(house))
    now = clock.now()
    line = delivery_of(webhook, event, DeliveryState.FAILED, now)
    await DeliveryStore(database).record(line, Attempt(at=now, ms=1))
    return {
        "lock_id": str(lock.lock_id),
        "key_uuid": key.uuid,
        "door_id": "1",
        "org_id": house.organization.id,
        "digest": "none",
        "command_id": tapped.location.rpartition("command=")[2],
        "webhook_id": webhook.id,
        "delivery_id": line.id,
        "$lock": str(lock.lock_id),
        "$lockUuid": key.doors[0].lock_uuid,
        "$key": key.uuid,
        "$spare": spare.uuid,
        "$org": house.organization.id,
    }


async def _an_event(house: House) -> RecordedEvent | None:
    events = await house.services.lock_queries.events_in_order(house.operator, 0, 1, None, None)
    return events[0] if events else None


async def _credentials(house: House, services: Services, caller: str) -> dict[str, str]:
    provisioning = services.provisioning
    match caller:
        case "anonymous":
            return {}
        case "organisation":
            return {"X_API_Key": house.api_key}
        case "super":
            return {"X_API_Key": await provisioning.issue_api_key(None)}
        case "other organisation":
            other = await provisioning.create_organization("Somebody else")
            return {"X_API_Key": await provisioning.issue_api_key(other.id)}
        case "other owner":
            his = await house.lock("Bob's door")
            await house.manage("POST", f"/locks/{his.lock_id}/SetOwner", {"userId": "bob"})
            return {"Authorization": f"Bearer {token_of('bob')}"}
        case _:
            user = {"owner": "ann", "guest": "gus"}[caller]
            return {"Authorization": f"Bearer {token_of(user)}"}


async def _ask(
    house: House, row: Row, names: Mapping[str, str], headers: Mapping[str, str]
) -> Page:
    path = row.path.format(**{name: names[name] for name in names if not name.startswith("$")})
    body = None
    if row.body is not None:
        text = msgspec.json.encode(row.body).decode().replace("$new", new_uuid())
        for name, value in names.items():
            if name == "$lock":
                text = text.replace('"$lock"', value)
            elif name.startswith("$"):
                text = text.replace(f'"{name}"', f'"{value}"')
        body = text
    elif row.method == "POST":
        body = ""
    kind = {"Content_Type": "application/json"} if row.body is not None else {}
    return await house.fetch(path, row.method, body, Accept="text/html", **headers, **kind)
