"""Where the pages are: the guests', and the dashboard's."""

from urllib.parse import quote, urlencode

FLEET_URL = "/dashboard"
KEYS_URL = "/dashboard/keys"
ARRIVALS_URL = "/dashboard/arrivals"
EVENTS_URL = "/dashboard/events"
SIGN_IN_URL = "/dashboard/sign-in"


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


# The dashboard


def lock_page_url(lock_id: int) -> str:
    """A lock, for its operators."""
    return f"{FLEET_URL}/locks/{lock_id}"


def key_page_url(key_uuid: str) -> str:
    """A key, for its operators."""
    return f"{FLEET_URL}/keys/{quote(key_uuid, safe='')}"


def with_query(url: str, **query: object) -> str:
    """An address with those of these parameters that say something."""
    said = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{url}?{urlencode(said)}" if said else url
