"""Keys: the list, and one key with its link, its revocation and its reasons."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from handlers.dashboard.base import DashboardHandler, Posted
from handlers.operation import NOTHING, PAGE, SVG, Access, operation
from handlers.paging import TimeCursor, read_time_cursor, time_cursor
from handlers.temp_keys import qr_code
from handlers.views.key_list_view import explanation_view, key_page_view, key_rows, key_zone
from handlers.views.moments import zone_of
from handlers.views.urls import KEYS_URL, key_page_url, key_url, with_query
from server import clock
from server.domain.errors import InvalidInput
from server.domain.links import Linked
from server.domain.pages import Page
from server.domain.temp_keys import LockIdNumber

_KEYS_ON_A_PAGE = 50


class KeysQuery(Struct, frozen=True, kw_only=True):
    """Which keys: those of one lock, and which page."""

    lock: LockIdNumber | None = None
    after: TimeCursor | None = None


class KeyQuery(Struct, frozen=True, kw_only=True):
    """Would this door open at this time, in its own time zone?"""

    door: Annotated[int, Meta(ge=1)] | None = None
    at: Annotated[str, Meta(max_length=30)] | None = None
    new: str = ""


class KeysPage(DashboardHandler):
    """The operator's keys, newest first."""

    here = "keys"

    @operation(Access.DASHBOARD, {200: PAGE}, errors=(404,), query=KeysQuery)
    async def get(self, query: KeysQuery) -> None:
        after = None if query.after is None else read_time_cursor(query.after)
        page = Page(limit=_KEYS_ON_A_PAGE, after=after)
        keys = await self.services.temp_keys.list_of(self.operator, query.lock, page)
        lock_ids = {door.lock_id for key in keys for door in key.doors} | {query.lock or 0}
        locks = await self.services.locks.find_all(self.operator, lock_ids)
        following = None
        if len(keys) == _KEYS_ON_A_PAGE:
            cursor = time_cursor(keys[-1].created_at, keys[-1].uuid)
            following = with_query(KEYS_URL, lock=query.lock, after=cursor)
        self.render(
            "dashboard/keys.html",
            rows=key_rows(keys, locks, clock.now()),
            lock=locks.get(query.lock or 0),
            following=following,
            is_first=query.after is None,
        )


class KeyPage(DashboardHandler):
    """One key."""

    here = "keys"

    @operation(Access.DASHBOARD, {200: PAGE}, errors=(404,), query=KeyQuery)
    async def get(self, key_uuid: str, query: KeyQuery) -> None:
        shown = await self.services.temp_keys.show_to_operator(self.operator, key_uuid)
        now = clock.now()
        base_url = f"{self.request.protocol}://{self.request.host}"
        door_id = query.door or shown.key.doors[0].id
        at = _asked_at(query.at, shown, door_id)
        explained = None
        if at is not None:
            found = await self.services.temp_keys.explain(self.operator, key_uuid, door_id, at)
            explained = explanation_view(found, shown.key, shown.locks, door_id, at)
        self.render(
            "dashboard/key.html",
            view=key_page_view(shown.key, shown.locks, now, base_url),
            explained=explained,
            door_id=door_id,
            at=query.at or _local(now, shown),
            is_new=bool(query.new),
        )


class KeyQrCode(DashboardHandler):
    """The guest link of a key as a picture."""

    @operation(Access.DASHBOARD, {200: SVG}, errors=(404,))
    async def get(self, key_uuid: str) -> None:
        key = await self.services.temp_keys.find(self.operator, key_uuid)
        self.set_header("Content-Type", "image/svg+xml")
        self.finish(qr_code(f"{self.request.protocol}://{self.request.host}{key_url(key.uuid)}"))


class RevokeKey(DashboardHandler):
    """Revoke a key."""

    @operation(Access.DASHBOARD, {303: NOTHING}, errors=(404,), form=Posted)
    async def post(self, key_uuid: str, form: Posted) -> None:
        await self.services.temp_keys.revoke(self.operator, key_uuid)
        self.see_other(key_page_url(key_uuid))


def _asked_at(text: str | None, shown: Linked, door_id: int) -> datetime | None:
    """The instant that a wall time means at a door."""
    if text is None:
        return None
    try:
        wall_time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("at", "Choose a date and a time") from error
    lock = shown.locks.get(shown.key.door(door_id).lock_id)
    return wall_time.replace(tzinfo=zone_of(lock))


def _local(now: datetime, shown: Linked) -> str:
    return now.astimezone(key_zone(shown.key, shown.locks)).strftime("%Y-%m-%dT%H:%M")
