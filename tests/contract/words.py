"""What many rows of the contract's table have in common."""

import re
from http import HTTPStatus
from typing import Any

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TEXT = re.compile(r"(?s).+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SOME_UUID = "0b9a3c1e-5f0e-4c57-9a0e-111111111111"
OTHER_UUID = "0b9a3c1e-5f0e-4c57-9a0e-222222222222"

WINDOW = {"validFrom": "$past", "validUntil": "$later"}
NEW_KEY = {**WINDOW, "doors": [{"lockId": "#lock"}]}
LEGACY_KEY = {"tempKeyUuid": "$new", "accessMode": "public", **WINDOW}
NEW_LOCK = {"index": 4711, "uuid": SOME_UUID}
ADA = {"name": "Ada", "userId": "ada", "email": "ada@example.org", "phoneNumber": "+48123456789"}


def error(status: int, reason: str, **others: Any) -> dict[str, Any]:
    """The one body of every error."""
    return {
        "success": False,
        "error": HTTPStatus(status).phrase,
        "message": TEXT,
        "code": status,
        "reason": reason,
    } | others


def reply(event: str, /, **data: Any) -> dict[str, Any]:
    """The command reply of a command that did something."""
    return {
        "success": True,
        "aggregateId": "$lock",
        "version": int,
        "event": {"type": event, "data": data},
    }


NOTHING_TO_DO = {"success": True, "aggregateId": "$lock", "version": int, "event": None}
