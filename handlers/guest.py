"""The guest's pages: a temp key, the tap on Open, and what became of it."""

from datetime import UTC, datetime
from typing import Annotated

import tornado.iostream
from msgspec import Meta, Struct

from handlers.guest_base import GuestHandler
from handlers.languages import Language
from handlers.operation import EVENTS, NOTHING, PAGE, Access, operation
from handlers.parameters import offline_flag, positive
from handlers.views.confirmation_view import confirmation_view
from handlers.views.key_view import key_view
from handlers.views.urls import confirmation_url, open_url
from server import clock
from server.domain.refusals import SecondTapNeeded
from server.services.confirmations import Confirmation

_STREAM_FOR_S = 60.0
_LATEST_MS = 250_000_000_000_000  # the year 9892: what a ``datetime`` can hold
_REPEATED = {"Idempotency-Key": "The same text again is the same opening, as with ``attempt``."}


Milliseconds = Annotated[int, Meta(ge=0, le=_LATEST_MS)]
"""A time of the server's own clock, since 1970."""


class OpenForm(Struct, frozen=True, kw_only=True, rename="camel"):
    """The form behind the Open button."""

    attempt: str | None = None
    confirmed: str | None = None
    """Said by the page that asks again; see ``OpenDoor.get``."""
    tapped_at: Milliseconds | None = None
    """When the guest tapped: the time that our page came with, and what has passed since then. Our
    script sends it."""
    shown_at: Milliseconds | None = None
    """When the page was made that was tapped. It counts where ``tappedAt`` is missing."""


class ConfirmationQuery(Struct, frozen=True, kw_only=True):
    """What a confirmation link says; only ``offline=true`` means that the lock was offline."""

    door: str | None = None
    offline: str = ""
    command: str | None = None

    @property
    def door_id(self) -> int | None:
        return None if self.door is None else positive("door", self.door)


class OpenFirstDoor(GuestHandler):
    """Open the first door of a key that opens by tap."""

    @operation(
        Access.GUEST,
        {303: NOTHING},
        errors=(400, 401, 403, 404, 409),
        form=OpenForm,
        headers=_REPEATED,
    )
    async def post(self, key_uuid: str, form: OpenForm) -> None:
        await self.open(key_uuid, None, form)

    async def open(self, key_uuid: str, door_id: int | None, form: OpenForm) -> None:
        """Open a door, and send the guest on to the page that follows the command."""
        attempt = form.attempt or self.request.headers.get("Idempotency-Key")
        guest = self.guest_who_taps(form.attempt)
        # A program asks its user itself.
        is_confirmed = form.confirmed is not None or not self.prefers_html
        try:
            command = await self.services.opening.open(
                key_uuid,
                door_id,
                guest,
                attempt,
                is_confirmed=is_confirmed,
                tapped_at=_time_of(form.tapped_at),
                shown_at=_time_of(form.shown_at),
            )
        except SecondTapNeeded as needed:
            self.see_other(self.language.link(open_url(key_uuid, needed.door_id)))
            return
        door_opened = command.door_id or 1
        url = confirmation_url(key_uuid, door_opened, command.id, command.offline)
        self.see_other(self.language.link(url))


class OpenDoor(OpenFirstDoor):
    """Open one door of a key; to visit, the question whether to: some locks want it asked first,
    and a tap that may be an old one leads to it."""

    @operation(Access.GUEST, {200: PAGE, 303: NOTHING}, errors=(401, 403, 404))
    async def get(self, key_uuid: str, door_id: int) -> None:
        """Ask a guest for another tap, where the door may be opened. Opens nothing."""
        shown = await self.services.temp_keys.show_to_guest(key_uuid, self.guest)
        self.look_like(shown.organization)
        asked_about = shown.key.door(door_id)
        view = key_view(shown.key, shown.locks, clock.now(), self.language, self.new_attempt)
        door = next(door for door in view.doors if door.id == asked_about.id)
        if door.may_open:
            self.render("question.html", door=door, key_url=view.key_url)
        else:
            self.see_other(view.key_url)

    @operation(
        Access.GUEST,
        {303: NOTHING},
        errors=(400, 401, 403, 404, 409),
        form=OpenForm,
        headers=_REPEATED,
    )
    async def post(self, key_uuid: str, door_id: int, form: OpenForm) -> None:
        await self.open(key_uuid, door_id, form)


class ConfirmationPage(GuestHandler):
    """What became of an opening, for its guest."""

    @operation(Access.GUEST, {200: PAGE}, errors=(400, 401, 403, 404), query=ConfirmationQuery)
    async def get(self, key_uuid: str, query: ConfirmationQuery) -> None:
        confirmation = await self.services.confirmations.find(
            key_uuid, self.guest, query.door_id, query.command
        )
        self.look_like(confirmation.organization)
        self.render("confirmation.html", **shown(confirmation, query, self.language))


class ConfirmationStream(GuestHandler):
    """The status part of the confirmation page at each of its changes, as server-sent events."""

    @operation(Access.GUEST, {200: EVENTS}, errors=(400, 401, 403, 404), query=ConfirmationQuery)
    async def get(self, key_uuid: str, query: ConfirmationQuery) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")
        changes = self.services.confirmations.follow(
            key_uuid, self.guest, query.door_id, query.command or "", _STREAM_FOR_S
        )
        told = b""
        try:
            async for confirmation in changes:
                status = self.render_string(
                    "_confirmation_status.html", **shown(confirmation, query, self.language)
                )
                if status != told:  # not every change of a lock can be seen on the page
                    told = status
                    self.write(b"event: state\n" + _data_lines(status) + b"\n")
                    await self.flush()
        except tornado.iostream.StreamClosedError:
            return  # the guest has left


def shown(
    confirmation: Confirmation, query: ConfirmationQuery, language: Language
) -> dict[str, object]:
    """What the templates of a confirmation need."""
    view = confirmation_view(
        confirmation.key,
        confirmation.door,
        confirmation.lock,
        confirmation.command,
        offline_flag(query.offline),
        clock.now(),
        language,
    )
    return {"view": view}


def _time_of(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _data_lines(text: bytes) -> bytes:
    return b"".join(b"data: " + line + b"\n" for line in text.splitlines())
