"""The server against its own contract: generated requests, good and bad, to every operation.

schemathesis runs as a program of its own, so that neither its threads nor its pytest plugin
meet ours. Of the WebSocket it sees only the refusals (it does not upgrade), of an event
stream the first event, and no lock is online.
"""

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs

from server import clock
from server.domain.temp_keys import AccessMethod, AccessMode, NewDoor, TempKey
from server.domain.times import wire_time
from server.settings import Secret, Settings
from tests.house import Device, House, command_id_of

RUN_WITHIN_S = 240
EXAMPLES_PER_OPERATION = 12
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "negative_data_rejection",
)

CONFIGURATION = """
seed = 1
continue-on-failure = true
max-stream-events = 1
request-timeout = 20
warnings = false

[cache]
enabled = false

# A lock that is offline, and PINs of which none is free, are answers too where they are documented.
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 502, 503]

[generation]
database = "none"
with-security-parameters = false

[auth.openapi.ApiKeyAuth]
api_key = "${{LATCHKEY_API_KEY}}"

[auth.openapi.DeviceToken]
bearer = "${{LATCHKEY_DEVICE_TOKEN}}"

[dictionaries]
locks.values = {locks}
doors.values = [1]
keys.values = {keys}
commands.values = {commands}
webhooks.values = {webhooks}
past.values = {past}
future.values = {future}

[parameters]
"path.lockId" = {{ dictionary = "locks", probability = 0.5 }}
"path.doorId" = {{ dictionary = "doors", probability = 0.5 }}
"path.keyUuid" = {{ dictionary = "keys", probability = 0.5 }}
"path.webhookId" = {{ dictionary = "webhooks", probability = 0.5 }}
"path.commandId" = {{ dictionary = "commands", probability = 0.5 }}
"query.lockId" = {{ dictionary = "locks", probability = 0.5 }}
"query.command" = {{ dictionary = "commands", probability = 0.5 }}
"body.doors[*].lockId" = {{ dictionary = "locks", probability = 0.8 }}
"body.validFrom" = {{ dictionary = "past", probability = 0.8 }}
"body.validUntil" = {{ dictionary = "future", probability = 0.8 }}
"""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of every test, with PINs."""
    return structs.replace(settings, pin_secret=Secret("a secret for the PINs of these tests"))


@pytest.mark.expects_log("webhook_delivery_failed")  # what it subscribes to may not be there
@pytest.mark.gen_test(timeout=RUN_WITHIN_S + 30)
@pytest.mark.timeout(RUN_WITHIN_S + 60)
async def test_every_answer_is_in_the_contract(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "latchkey.access")  # a thousand lines say little
    device = await house.device()
    keys = await make_keys(house, device)
    command_id = command_id_of(await house.tap_open(keys[0]))
    nowhere = {"url": "http://127.0.0.1:9/", "events": ["LockTampered"]}
    webhook = await house.manage("POST", "/webhooks", nowhere)
    now = clock.now()
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(
        CONFIGURATION.format(
            locks=json.dumps([device.lock_id]),
            keys=json.dumps([key.uuid for key in keys]),
            commands=json.dumps([command_id]),
            webhooks=json.dumps([webhook.json()["id"]]),
            past=json.dumps([wire_time(now)]),
            future=json.dumps([wire_time(now + timedelta(days=days)) for days in (1, 300)]),
        )
    )
    secrets = {"LATCHKEY_API_KEY": house.api_key, "LATCHKEY_DEVICE_TOKEN": device.token}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "schemathesis.cli",
        f"--config-file={configuration}",
        "run",
        f"--max-examples={EXAMPLES_PER_OPERATION}",
        f"--checks={','.join(CHECKS)}",
        f"{house.url}/openapi.json",
        stdout=PIPE,
        stderr=STDOUT,
        cwd=tmp_path,
        env=os.environ | secrets | {"NO_COLOR": "1", "COLUMNS": "100"},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), RUN_WITHIN_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()


async def make_keys(house: House, device: Device) -> list[TempKey]:
    """A key that is good, one for a panel, one of somebody else, and one revoked."""
    key = await house.key(device)
    panel = await house.key(
        device, doors=[NewDoor(lock_id=device.lock_id, access_method=AccessMethod.CODE)]
    )
    personal = await house.key(
        device, access_mode=AccessMode.USER_WHITELIST, allowed_user_ids=["ada"]
    )
    revoked = await house.key(device)
    await house.services.temp_keys.revoke(house.operator, revoked.uuid)
    return [key, panel, personal, revoked]
