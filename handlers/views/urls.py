"""Where the guest pages are."""

from urllib.parse import quote, urlencode


def key_url(key_uuid: str) -> str:
    """The guest page of a key."""
    return f"/temp-keys/{quote(key_uuid, safe='')}"


def open_url(key_uuid: str, door_id: int) -> str:
    """Where the form of a door posts to."""
    return f"{key_url(key_uuid)}/doors/{door_id}/open"


def confirmation_url(
    key_uuid: str, door_id: int, command_id: str | None = None, offline: bool = False
) -> str:
    """The page that follows one open command."""
    return f"{key_url(key_uuid)}/confirmation?{_about(door_id, command_id, offline)}"


def logo_url(org_id: str, digest: str) -> str:
    """An organisation's logo."""
    return f"/organizations/{quote(org_id, safe='')}/logo/{digest}"


def stream_url(key_uuid: str, door_id: int, command_id: str, offline: bool = False) -> str:
    """The server-sent events of the confirmation page."""
    return f"{key_url(key_uuid)}/confirmation/stream?{_about(door_id, command_id, offline)}"


def _about(door_id: int, command_id: str | None, offline: bool) -> str:
    query = {"door": str(door_id), "offline": "true" if offline else "false"}
    if command_id is not None:
        query["command"] = command_id
    return urlencode(query)
