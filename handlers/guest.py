"""The guest's pages: a temp key, the tap on Open, and what became of it."""

from collections.abc import Mapping
from typing import ClassVar

import tornado.iostream

from handlers.base import Access, PageHandler
from handlers.parameters import offline_flag, positive
from handlers.views import confirmation_url, confirmation_view
from server import clock
from server.services.confirmations import Confirmation

_STREAM_FOR_S = 60.0


class OpenFirstDoor(PageHandler):
    """``POST /temp-keys/{uuid}/open``: open the key's first door that opens by tap."""

    access: ClassVar[Mapping[str, Access]] = {"POST": Access.GUEST}

    async def post(self, key_uuid: str, door_id: str | None = None) -> None:
        attempt = self.form_value("attempt") or self.request.headers.get("Idempotency-Key")
        door = None if door_id is None else positive("doorId", door_id)
        command = await self.services.opening.open(key_uuid, door, self.guest, attempt)
        door_opened = command.door_id or 1
        self.see_other(confirmation_url(key_uuid, door_opened, command.id, command.offline))


class OpenDoor(OpenFirstDoor):
    """``POST /temp-keys/{uuid}/doors/{doorId}/open``: open that door of the key."""


class ConfirmationPage(PageHandler):
    """``GET /temp-keys/{uuid}/confirmation``: what became of an opening."""

    access: ClassVar[Mapping[str, Access]] = {"GET": Access.GUEST}

    async def get(self, key_uuid: str) -> None:
        confirmation = await self.services.confirmations.find(
            key_uuid, self.guest, self.door_id, self.get_query_argument("command", None)
        )
        self.render("confirmation.html", **self.shown(confirmation))

    @property
    def door_id(self) -> int | None:
        """The door that the link names; None where it names none."""
        door = self.get_query_argument("door", "")
        return positive("door", door) if door else None

    def shown(self, confirmation: Confirmation) -> dict[str, object]:
        """What the page's templates need."""
        offline = offline_flag(self.get_query_argument("offline", ""))
        view = confirmation_view(
            confirmation.key,
            confirmation.door,
            confirmation.lock,
            confirmation.command,
            offline,
            clock.now(),
        )
        return {"view": view}


class ConfirmationStream(ConfirmationPage):
    """``GET /temp-keys/{uuid}/confirmation/stream``: the page's status, at each change."""

    async def get(self, key_uuid: str) -> None:
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("X-Accel-Buffering", "no")
        command_id = self.get_query_argument("command")
        changes = self.services.confirmations.follow(
            key_uuid, self.guest, self.door_id, command_id, _STREAM_FOR_S
        )
        try:
            async for confirmation in changes:
                status = self.render_string("_confirmation_status.html", **self.shown(confirmation))
                self.write(b"event: state\n" + _data_lines(status) + b"\n")
                await self.flush()
        except tornado.iostream.StreamClosedError:
            return  # the guest has left


def _data_lines(text: bytes) -> bytes:
    return b"".join(b"data: " + line + b"\n" for line in text.splitlines())
