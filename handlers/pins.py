"""Entrance panels: opening a door with a PIN."""

from msgspec import Struct

from handlers.base import BaseHandler
from handlers.operation import Access, Answer, operation
from server.domain.pins import PinText


class EnteredPin(Struct, frozen=True, kw_only=True):
    """What was entered at a panel."""

    pin: PinText

    def __repr__(self) -> str:
        return "EnteredPin(…)"


class PinAnswer(Struct, frozen=True, kw_only=True):
    """Whether the lock said that it opens; where it was ``offline``, it will not open later."""

    success: bool
    offline: bool


class OpenWithPin(BaseHandler):
    """A PIN that was entered at the panel of a lock."""

    @operation(Access.PUBLIC, {200: Answer(PinAnswer)}, errors=(401, 429, 503), body=EnteredPin)
    async def post(self, lock_id: int, body: EnteredPin) -> None:
        """Open the door with a PIN; whatever is wrong with the PIN, the answer is the same."""
        opening = await self.services.pins.open(lock_id, body.pin, self.address)
        self.write_json(PinAnswer(success=opening.success, offline=opening.offline))
